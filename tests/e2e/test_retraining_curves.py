"""The modules of the training curves in a browser: they load as served, and smooth as TensorBoard does.

Their arithmetic is tested in tests/javascript/training_curves.test.js.
"""

import random
from collections.abc import Iterator, Sequence

import pytest
from playwright.sync_api import Browser, Page, Route

from studio.web.assets import modules

pytestmark = pytest.mark.browser
ORIGIN = "http://studio.test/"
ENTRIES = [path for path, content in modules().items() if b"export default function" in content]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.route(f"{ORIGIN}**", respond)
    page.goto(ORIGIN)
    yield page
    page.close()


def respond(route: Route) -> None:
    path = route.request.url.removeprefix(ORIGIN)
    content_type = "text/javascript" if path else "text/html"
    route.fulfill(body=modules().get(path, b""), content_type=content_type)


def tensorboard_smoothed(values: Sequence[float], weight: float) -> list[float]:
    """Smooth as TensorBoard's `resmoothDataset` does, written from its description."""
    last, smoothed = 0.0, []
    for count, value in enumerate(values, 1):
        last = last * weight + (1 - weight) * value
        smoothed.append(last / (1 - weight**count))
    return smoothed


@pytest.mark.parametrize("weight", [0.1, 0.6, 0.9, 0.99])
def test_smoothing_is_tensorboards(page: Page, weight: float) -> None:
    chance = random.Random(7)
    values = [1 / (1 + step) + 0.1 * chance.random() for step in range(500)]
    smoothed = page.evaluate(
        """async ([values, weight]) => {
            const { smooth } = await import("/web/retrain/frontend/smoothing.js");
            return smooth(values, weight);
        }""",
        [values, weight],
    )
    assert smoothed == pytest.approx(tensorboard_smoothed(values, weight), rel=1e-12)


def test_a_path_has_few_corners_and_keeps_every_peak(page: Page) -> None:
    path: str = page.evaluate(
        """async (steps) => {
            const { AxisScale, linePath } = await import("/web/retrain/frontend/axis_scale.js");
            const xs = Array.from({ length: steps }, (_each, at) => at + 1);
            const ys = xs.map((x) => (x === 77_777 ? 9 : Math.sin(x)));
            return linePath(xs, ys, new AxisScale(0, steps, 0, 400), new AxisScale(0, 10, 100, 0));
        }""",
        100_000,
    )
    corners = [tuple(map(float, corner.split())) for corner in path[1:].split("L")]
    assert len(corners) <= 4 * 401
    assert min(y for _x, y in corners) == pytest.approx(10)  # the one that stands out


@pytest.mark.parametrize(
    "entry", [path for path in modules() if b"export default function" in modules()[path]]
)
def test_every_component_loads(page: Page, entry: str) -> None:
    kind = page.evaluate("async (entry) => typeof (await import(`/${entry}`)).default", entry)
    assert kind == "function"
