"""The arithmetic of the curves, as the browser does it: smoothing, axes, and paths that keep what is seen."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
SCRIPTS = Path(__file__).resolve().parents[2] / "studio" / "web" / "retrain" / "frontend"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    for name in ("smoothing", "scale", "curve_store"):
        page.add_script_tag(content=(SCRIPTS / f"{name}.js").read_text(encoding="utf-8"))
    yield page
    page.close()


def tensorboards(values: Sequence[float], weight: float) -> list[float]:
    """Smooth as TensorBoard's `resmoothDataset` does, written from its description."""
    if all(value == values[0] for value in values):
        return list(values)
    last, found = 0.0, []
    for count, value in enumerate(values, 1):
        last = last * weight + (1 - weight) * value
        found.append(last / (1 - weight**count))
    return found


def smoothed(page: Page, values: Sequence[float], weight: float) -> list[float]:
    found: list[float] = page.evaluate("([values, weight]) => smoothed(values, weight)", [values, weight])
    return found


@pytest.mark.parametrize("weight", [0.1, 0.6, 0.9, 0.99])
def test_smoothing_is_tensorboards(page: Page, weight: float) -> None:
    chance = random.Random(7)
    values = [1 / (1 + step) + 0.1 * chance.random() for step in range(500)]
    found = smoothed(page, values, weight)
    assert found == pytest.approx(tensorboards(values, weight), rel=1e-12)
    assert found[0] == pytest.approx(values[0])  # not drawn towards 0


def test_what_never_changes_stays_exactly_as_it_is(page: Page) -> None:
    for value in (1.0, 0.1, 0.913, 1 / 3):
        assert smoothed(page, [value] * 1000, 0.99) == [value] * 1000
    assert smoothed(page, [], 0.6) == []
    assert smoothed(page, [0.5, 0.7], 0) == [0.5, 0.7]


def test_a_value_that_is_none_does_not_spoil_those_after_it(page: Page) -> None:
    found = page.evaluate("smoothed([1, NaN, 3, Infinity, 2], 0.5).map(value => Number.isFinite(value))")
    assert found == [True, False, True, False, True]


def test_round_numbers_beside_an_axis(page: Page) -> None:
    ticks = "([from, to, px]) => new Scale(from, to, 0, px).ticks(70).values"
    assert page.evaluate(ticks, [0, 4000, 400]) == [0, 1000, 2000, 3000, 4000]
    assert page.evaluate(ticks, [0.52, 1, 210]) == pytest.approx([0.6, 0.8, 1.0])
    assert page.evaluate("Object.is(new Scale(-0.01, 1, 0, 300).ticks(70).values[0], 0)")  # not minus 0
    assert page.evaluate("[200, 1, 0.5, 0.02, 0.0005].map(decimals)") == [0, 0, 1, 2, 4]
    assert page.evaluate("new Scale(3, 3, 0, 100).ticks(50).values.includes(3)")  # nothing that varies


def test_a_path_has_few_corners_and_keeps_every_peak(page: Page) -> None:
    steps = 100_000
    path: str = page.evaluate(
        """(steps) => {
            const xs = Array.from({ length: steps }, (_each, at) => at + 1);
            const ys = xs.map((x) => (x === 77_777 ? 9 : Math.sin(x)));
            return pathOf(xs, ys, new Scale(0, steps, 0, 400), new Scale(0, 10, 100, 0));
        }""",
        steps,
    )
    corners = [tuple(map(float, corner.split())) for corner in path[1:].split("L")]
    assert len(corners) <= 4 * 401
    assert min(y for _x, y in corners) == pytest.approx(10)  # the one that stands out
    assert [x for x, _y in corners] == sorted(x for x, _y in corners)


def test_the_nearest_point(page: Page) -> None:
    near = "([xs, x]) => nearest(xs, x)"
    for x, expected in ((-5, 0), (14, 0), (16, 1), (20, 1), (31, 2), (99, 2)):
        assert page.evaluate(near, [[10, 20, 40], x]) == expected
    assert page.evaluate(near, [[], 3]) == -1


def test_points_that_come_twice_are_kept_once(page: Page) -> None:
    steps = page.evaluate(
        """() => {
            const store = new CurveStore("");
            store.add(3, "training", [[1, 0.5, 1, 0.1], [2, 0.6, 0.9, 0.2]]);
            store.add(3, "training", [[2, 0.6, 0.9, 0.2], [3, 0.7, 0.8, 0.3]]);
            store.add(3, "validation", [[2, 0.4, 1.1, null]]);
            return [store.of(3, "training").steps, store.of(3, "validation").seconds, store.lastStep(3),
                    store.of(9, "training").steps];
        }"""
    )
    assert steps == [[1, 2, 3], [None], 3, []]
