"""The map of the images in a browser: a lasso takes exactly what lies in it; filter, keys, touch."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from time import sleep
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import (
    Browser,
    CDPSession,
    Locator,
    Page,
    Route,
    ViewportSize,
    expect,
)

from studio.data import open_database
from studio.datasets.projects import Project
from studio.images import provenance
from studio.settings import Settings
from tests.collect.material import image_bytes
from tests.conftest import FLOWERS, until
from tests.e2e.conftest import take_screenshot
from tests.e2e.labelling_grid import LONG_MS, fill, open_grid, source, targets

pytestmark = pytest.mark.browser
PHONE: ViewportSize = {"width": 390, "height": 844}
HOSTILE = "<img src=x onerror=window.hacked=1> *daisy*"
CLASSES = [HOSTILE, "튤립", None]
COLUMNS, ROWS = 10, 6
Corner = tuple[float, float]


class Mapped(NamedTuple):
    """A project whose images stand in rows and columns on the map."""

    project: Project
    ids: list[int]
    names: list[str]
    places: npt.NDArray[np.float32]


def mapped(home: Path, name: str) -> Mapped:
    found = sorted(FLOWERS.rglob("*.jpg"))[:: 3000 // (COLUMNS * ROWS)] if FLOWERS.is_dir() else []
    data = [path.read_bytes() for path in found][: COLUMNS * ROWS]
    data += [image_bytes(seed) for seed in range(COLUMNS * ROWS - len(data))]
    sources = [
        source(f"사진 {name} {number}.jpg", lambda data=data: data, CLASSES[number % 3])  # type: ignore[misc]
        for number, data in enumerate(data)
    ]
    project = fill(home, name, sources)
    ids = sorted(targets(home, project.id))
    places = np.array(
        [((at % COLUMNS + 0.5) / COLUMNS, (at // COLUMNS + 0.5) / ROWS) for at in range(len(ids))], np.float32
    )
    leave_a_map(home, project, ids, places)
    return Mapped(project, ids, names_of(home, project.id, ids), places)


def names_of(home: Path, project_id: int, ids: Sequence[int]) -> list[str]:
    database = open_database(Settings(home=home))
    with database.read() as session:
        found = {
            image: places[0].name
            for image, places in provenance.provenance_of(session, project_id, ids).items()
        }
    database.close()
    return [found[image] for image in ids]


def leave_a_map(home: Path, project: Project, ids: list[int], places: npt.NDArray[np.float32]) -> None:
    """Leave what a study leaves."""
    folder = Settings(home=home).analyses_dir / str(project.id)
    folder.mkdir(parents=True)
    np.save(folder / "ids.npy", np.array(ids, np.int64))
    np.save(folder / "map.npy", places)


def open_map(page: Page, address: str, project: str) -> Locator:
    """Open the grid, then the map, and return what is drawn on."""
    open_grid(page, address, project)
    page.get_by_role("button", name="Map", exact=True).click()
    surface = page.get_by_role("application", name="Map of the images")
    expect(surface).to_be_visible()
    expect(page.get_by_text("images visible")).to_be_visible(timeout=LONG_MS)
    return surface


def still(page: Page) -> None:
    """Wait until the map has glided to where it was sent."""
    page.wait_for_timeout(300)
    page.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")


class Screen:
    """Return the screen position of a point of the whole map."""

    def __init__(self, surface: Locator) -> None:
        box = surface.bounding_box()
        assert box is not None
        self.left, self.top = box["x"], box["y"]
        self.width, self.height = box["width"], box["height"]
        width, height = (max(40, side - 56) for side in (self.width, self.height))
        self.scale = (min(width, height * 1.6), min(height, width * 1.6))

    def __call__(self, x: float, y: float) -> Corner:
        return (
            self.left + self.width / 2 + (x - 0.5) * self.scale[0],
            self.top + self.height / 2 + (y - 0.5) * self.scale[1],
        )


def circle(page: Page, screen: Screen, corners: Sequence[Corner]) -> None:
    """Draw a line through corners of the map with the mouse, and let go."""
    first, *others = [screen(*corner) for corner in corners]
    page.mouse.move(*first)
    page.mouse.down()
    for corner in others:
        page.mouse.move(*corner, steps=4)
    page.mouse.up()


def holds(polygon: Sequence[Corner], x: float, y: float) -> bool:
    is_inside = False
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            is_inside = not is_inside
    return is_inside


def inside(on: Mapped, polygon: Sequence[Corner]) -> set[int]:
    return {image for image, place in zip(on.ids, on.places, strict=True) if holds(polygon, *place.tolist())}


def rejected(home: Path, on: Mapped) -> set[int]:
    return {image for image, (state, _name) in targets(home, on.project.id).items() if state == "rejected"}


# With a bay that the middle of the map lies in: a hull would take more.
BAY: list[Corner] = [
    (0.08, 0.12),
    (0.52, 0.05),
    (0.48, 0.45),
    (0.88, 0.42),
    (0.93, 0.9),
    (0.2, 0.86),
    (0.33, 0.5),
]


def test_a_lasso_takes_exactly_what_lies_in_it(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    on = mapped(home, "정원")
    surface = open_map(page, address, "정원")
    expect(page.get_by_text("60 of 60 images visible")).to_be_visible()
    page.wait_for_timeout(600)
    take_screenshot(page, "map")
    wanted = inside(on, BAY)
    assert 15 < len(wanted) < 40

    page.get_by_role("button", name="Lasso").click()
    circle(page, Screen(surface), BAY)
    expect(page.get_by_text(f"{len(wanted)} images selected in the grid")).to_be_visible()
    expect(page.get_by_text(f"{len(wanted)} selected", exact=True).first).to_be_visible()
    take_screenshot(page, "map-lasso")
    before = targets(home, on.project.id)
    page.get_by_role("toolbar", name="Actions on the selection").get_by_role("button", name="Reject").click()
    until(lambda: rejected(home, on) == wanted)
    after = targets(home, on.project.id)
    assert {image for image in on.ids if after[image] != before[image]} == wanted
    sidebar = page.get_by_role("navigation", name="Filter images")
    expect(sidebar.get_by_role("button", name="Rejected")).to_contain_text(str(len(wanted)))

    # Undone in the grid, it is drawn as it was.
    page.get_by_role("button", name="Undo").first.click()
    until(lambda: targets(home, on.project.id) == before)


def test_what_the_legend_hides_is_not_taken(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    on = mapped(home, "거른")
    surface = open_map(page, address, "거른")
    legend = page.get_by_role("region", name="Classes")
    everything: list[Corner] = [(-0.02, -0.02), (1.02, -0.02), (1.02, 1.02), (-0.02, 1.02)]
    now = targets(home, on.project.id)

    legend.get_by_role("button", name="Only 튤립").click()
    expect(page.get_by_text("20 of 60 images visible")).to_be_visible()
    page.keyboard.down("Shift")
    circle(page, Screen(surface), everything)
    page.keyboard.up("Shift")
    expect(page.get_by_text("20 images selected in the grid")).to_be_visible()
    page.get_by_role("toolbar", name="Actions on the selection").get_by_role("button", name="Reject").click()
    until(lambda: rejected(home, on) == {image for image in on.ids if now[image] == ("labelled", "튤립")})
    # The rejected are a class of their own, hidden by now.
    expect(page.get_by_text("0 of 60 images visible")).to_be_hidden()
    legend.get_by_role("button", name="Show all").click()
    toggle = legend.get_by_role("button", name=HOSTILE).first
    expect(toggle).to_have_attribute("aria-pressed", "true")
    toggle.click()
    expect(toggle).to_have_attribute("aria-pressed", "false")


def test_all_of_it_by_the_keyboard(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    mapped(home, "글쇠")
    surface = open_map(page, address, "글쇠")
    surface.focus()
    for key in ("+", "+", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        still(page)
    status = page.get_by_text("of 60 images visible")
    seen = int(status.inner_text().split()[0])
    assert 0 < seen < 60
    expect(page.locator(".map-tip")).to_be_visible()  # of the image nearest to the middle
    take_screenshot(page, "map-keys")
    page.get_by_role("button", name="Select visible images").press("Enter")
    chosen = page.get_by_text("selected in the grid")
    expect(chosen).to_be_visible()
    count = int(chosen.inner_text().split()[0])
    assert abs(count - seen) <= 10  # those whose mark alone reaches in are not selected
    page.get_by_role("button", name="Clear", exact=True).press("Enter")
    surface.focus()
    page.keyboard.press("0")
    expect(page.get_by_text("60 of 60 images visible")).to_be_visible()
    page.keyboard.press("l")
    expect(page.get_by_role("button", name="Lasso")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Enter")
    expect(page.locator("dialog.viewer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(surface).to_be_focused()


def test_pointing_and_clicking(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    on = mapped(home, "보기")
    surface = open_map(page, address, "보기")
    screen = Screen(surface)
    page.mouse.move(*screen(*on.places[23].tolist()))
    tip = page.locator(".map-tip")
    expect(tip).to_contain_text(on.names[23])
    expect(tip.locator("strong")).to_have_text(targets(home, on.project.id)[on.ids[23]][1] or "Unlabelled")
    assert tip.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    middle = screen(0.5, 0.5)
    page.mouse.move(*middle)
    for _notch in range(4):
        page.mouse.wheel(0, -120)
    expect(page.get_by_text("60 of 60")).not_to_be_visible()
    page.mouse.down()  # pulled far to the right, what was on the left comes
    page.mouse.move(middle[0] + 300, middle[1], steps=5)
    page.mouse.up()
    page.wait_for_timeout(600)
    take_screenshot(page, "map-close")
    page.get_by_role("button", name="Show the whole map").click()
    expect(page.get_by_text("60 of 60 images visible")).to_be_visible()
    still(page)
    page.mouse.click(*screen(*on.places[37].tolist()))
    expect(page.locator("dialog.viewer")).to_contain_text(on.names[37])


def test_by_touch_and_in_the_dark(served: tuple[str, Path], browser: Browser) -> None:
    address, home = served
    on = mapped(home, "전화")
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, color_scheme="dark")
    context.set_default_timeout(30_000)
    page = context.new_page()
    surface = open_map(page, address, "전화")
    surface.scroll_into_view_if_needed()
    screen, touch = Screen(surface), context.new_cdp_session(page)
    take_screenshot(page, "map-phone-dark")
    corners: list[Corner] = [(-0.02, -0.02), (0.5, -0.02), (0.5, 0.5), (-0.02, 0.5)]
    page.get_by_role("button", name="Lasso").tap()
    drag(touch, [[screen(*corner)] for corner in corners])
    wanted = inside(on, corners)
    assert len(wanted) == 15
    expect(page.get_by_text("15 images selected in the grid")).to_be_visible()
    take_screenshot(page, "map-phone-lasso")
    expect(page.get_by_text("Chosen on the map")).to_be_visible()  # it moves what is below it
    page.get_by_role("button", name="Clear", exact=True).tap()
    x, y = screen(0.5, 0.5)
    drag(touch, [[(x - far, y), (x + far, y)] for far in (20, 40, 60, 80, 100)])  # two fingers, apart
    expect(page.get_by_text("60 of 60")).not_to_be_visible()
    expect(page.get_by_text("of 60 images visible")).to_be_visible()  # and no lasso was drawn
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    context.close()


def drag(touch: CDPSession, frames: Sequence[Sequence[Corner]]) -> None:
    """Put fingers down, move them from frame to frame, rest, and lift them.

    Fingers that are lifted while they move have flung the page, to a browser, and its next tap stops that.
    """

    def send(kind: str, fingers: Sequence[Corner]) -> None:
        points = [{"x": x, "y": y, "id": at} for at, (x, y) in enumerate(fingers)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        sleep(0.02)

    send("touchStart", frames[0])
    for before, after in pairwise(frames):
        for share in (0.25, 0.5, 0.75, 1):
            send(
                "touchMove",
                [
                    (x1 + (x2 - x1) * share, y1 + (y2 - y1) * share)
                    for (x1, y1), (x2, y2) in zip(before, after, strict=True)
                ],
            )
    for _moment in range(10):
        send("touchMove", frames[-1])
    send("touchEnd", [])


def test_a_missing_map_is_reported(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    project = fill(home, "아직", [source("a.jpg", lambda: image_bytes(0))])
    open_grid(page, address, "아직")
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.get_by_text("There is no map yet.")).to_be_visible()
    take_screenshot(page, "map-none")
    page.route("**/map", lambda route: route.abort())
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("The map could not be read.")).to_be_visible()
    page.unroute("**/map")
    leave_a_map(home, project, list(targets(home, project.id)), np.array([[0.5, 0.5]], np.float32))
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("1 of 1 images visible")).to_be_visible()


def test_a_hundred_thousand_images(served: tuple[str, Path], page: Page) -> None:
    address, home = served
    fill(home, "많은", [source("a.jpg", lambda: image_bytes(1))])
    many = 100_000
    chance = np.random.default_rng(0)
    places = chance.random((many, 2)).astype("<f4")
    classes = chance.integers(-1, 3, many).astype("<i4")
    ids = np.sort(chance.choice(2**30, many, replace=False)).astype("<i4")
    parts = (np.array([many], "<i4"), ids, places[:, 0], places[:, 1], classes)
    body = b"".join(part.tobytes() for part in parts)
    page.route("**/map", lambda route: answer(route, body))
    open_grid(page, address, "많은")
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.get_by_text("100,000 of 100,000 images visible")).to_be_visible()
    surface = page.get_by_role("application", name="Map of the images")
    screen = Screen(surface)
    take_screenshot(page, "map-100000")
    # A star of many corners, that crosses itself.
    star = [
        (0.5 + 0.45 * math.cos(turn), 0.5 + 0.45 * math.sin(turn))
        for turn in (at * math.tau * 4 / 9 for at in range(9))
    ]
    page.get_by_role("button", name="Lasso").click()
    circle(page, screen, star)
    status = page.get_by_text("images selected in the grid")
    expect(status).to_be_visible()
    count = int(status.inner_text().split()[0].replace(",", ""))
    wanted = sum(holds(star, x, y) for x, y in places.astype(float).tolist())
    # The browser's mouse stands on whole pixels: along the star's rim some images fall to either side.
    assert abs(count - wanted) < 0.01 * many
    take_screenshot(page, "map-100000-star")


def answer(route: Route, body: bytes) -> None:
    route.fulfill(body=body, content_type="application/octet-stream")
