"""Photos from a fake camera of Chromium: taken while a button is held, and uploaded into a class."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.conftest import until
from tests.e2e.conftest import choose_tab, go_to, take_screenshot, wait_until_settled
from tests.e2e.test_uploads import LONG_MS, PHONE, begin, choose_class

pytestmark = pytest.mark.browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 1100}, permissions=["camera"])
    context.set_default_timeout(30_000)
    yield context
    context.close()


def turn_on(page: Page) -> Locator:
    """Open the camera's tab, turn the camera on and return its shutter button."""
    choose_tab(page, "Camera")
    page.get_by_role("button", name="Turn the camera on").click()
    page.get_by_label("Camera image").evaluate(
        """async (video) => { while (video.readyState < 2) await new Promise((go) => setTimeout(go, 50)); }"""
    )
    return page.get_by_role("button", name=re.compile("Hold to take"))


def hold(page: Page, shutter: Locator) -> None:
    """Press the button and hold it, once it has stopped moving."""
    place = None
    while (found := shutter.bounding_box()) != place:
        place = found
        page.wait_for_timeout(1_000)
    shutter.hover()
    page.mouse.down()


def strip(page: Page) -> Locator:
    return page.locator("ul.strip")


def sent(page: Page) -> int:
    """Wait until photos are uploaded; return their number."""
    status = page.get_by_text("Photos uploaded")
    expect(status).to_be_visible(timeout=LONG_MS)
    return int(re.sub(r"\D", "", status.inner_text()))


def stored(home: Path, class_name: str) -> list[tuple[str, str, int]]:
    """Return kind, name and width of the images of a class."""
    with sqlite3.connect(home / "studio.sqlite3") as database:
        return database.execute(
            "SELECT p.kind, p.address, i.width_px FROM labels l JOIN classes c ON c.id = l.class_id"
            " JOIN provenances p ON p.image_id = l.image_id AND p.project_id = l.project_id"
            " JOIN images i ON i.id = l.image_id WHERE c.name = ? ORDER BY p.address",
            [class_name],
        ).fetchall()


def test_bursts_go_into_the_class(served: tuple[str, Path], context: BrowserContext) -> None:
    address, home = served
    page = context.new_page()
    begin(page, address, "사진기")
    shutter = turn_on(page)
    expect(shutter).to_be_disabled()
    expect(page.get_by_text("Choose or type the class for these photos first")).to_be_visible()
    take_screenshot(page, "camera-without-class")
    choose_class(page, "컵")
    expect(shutter).to_be_enabled()
    page.get_by_label("Interval between photos (ms)").fill("20")
    page.get_by_label("Interval between photos (ms)").press("Tab")
    expect(page.get_by_label("Interval between photos (ms)")).to_have_value("100")
    hold(page, shutter)
    page.wait_for_function("list => list.childElementCount >= 4", arg=strip(page).element_handle())
    take_screenshot(page, "camera-held")
    page.mouse.up()
    first = sent(page)
    assert first >= 4
    expect(page.get_by_text(re.compile(r"\d+ added"))).to_be_visible(timeout=LONG_MS)

    # The page has rerun, and the camera is still on: now by keyboard.
    wait_until_settled(page)
    expect(shutter).to_be_visible()
    shutter.focus()
    page.keyboard.down("Space")
    page.wait_for_function("list => list.childElementCount >= 2", arg=strip(page).element_handle())
    page.keyboard.up("Space")
    page.wait_for_function(
        """([status, first]) => Number(status.textContent.replace(/[^0-9]/g, "")) > first""",
        arg=[page.get_by_text("Photos uploaded").element_handle(), first],
    )
    total = sent(page)
    until(lambda: len(stored(home, "컵")) == total)
    rows = stored(home, "컵")
    assert len(rows) == total  # each of them, once
    assert {re.sub(r"\d", "0", name) for _kind, name, _width in rows} == {
        "camera-0000-00-00T00-00-00.000Z-0000.jpg"
    }
    assert all(kind == "camera" and width >= 640 for kind, _name, width in rows)
    page.get_by_role("button", name="Turn the camera off").click()
    expect(page.get_by_role("button", name="Turn the camera on")).to_be_visible()


def test_photos_are_reviewed_before_uploading(served: tuple[str, Path], browser: Browser) -> None:
    address, home = served
    context = browser.new_context(viewport=PHONE, color_scheme="dark", permissions=["camera"])  # type: ignore[arg-type]
    page = context.new_page()
    begin(page, address, "전화기")
    choose_class(page, "찻잔")
    shutter = turn_on(page)
    page.get_by_label("Review photos before uploading").check()
    shutter.scroll_into_view_if_needed()
    hold(page, shutter)
    page.wait_for_function("list => list.childElementCount >= 3", arg=strip(page).element_handle())
    page.mouse.up()
    expect(page.get_by_role("button", name=re.compile("^Upload"))).to_be_visible()
    count = strip(page).locator("li").count()
    page.get_by_role("button", name="Leave out photo 1", exact=True).click()
    expect(page.get_by_role("button", name=f"Upload {count - 1}")).to_be_visible()
    take_screenshot(page, "phone-camera-review")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    page.get_by_role("button", name=f"Upload {count - 1}").click()
    assert sent(page) == count - 1
    until(lambda: len(stored(home, "찻잔")) == count - 1)
    context.close()


def test_no_photo_is_lost_while_the_connection_is_down(
    served: tuple[str, Path], context: BrowserContext
) -> None:
    address, home = served
    page = context.new_page()
    begin(page, address, "끊김")
    choose_class(page, "접시")
    shutter = turn_on(page)
    page.route("**/studio/uploads/**", lambda route: route.abort())
    hold(page, shutter)
    page.wait_for_function("list => list.childElementCount >= 3", arg=strip(page).element_handle())
    page.mouse.up()
    count = strip(page).locator("li").count()
    expect(page.get_by_text("The studio does not answer. Trying again")).to_be_visible()
    page.unroute("**/studio/uploads/**")
    assert sent(page) == count
    until(lambda: len(stored(home, "접시")) == count)


def test_the_camera_goes_off_with_its_tab_and_page(served: tuple[str, Path], context: BrowserContext) -> None:
    address, _home = served
    page = context.new_page()
    begin(page, address, "떠남")
    turn_on(page)
    track = page.get_by_label("Camera image").evaluate_handle("video => video.srcObject.getTracks()[0]")
    assert track.evaluate("track => track.readyState") == "live"
    choose_tab(page, "Files and folders")
    page.wait_for_function("track => track.readyState === 'ended'", arg=track)
    choose_tab(page, "Camera")
    page.get_by_role("button", name="Turn the camera on").click()
    expect(page.get_by_role("button", name="Turn the camera off")).to_be_visible()
    track = page.get_by_label("Camera image").evaluate_handle("video => video.srcObject.getTracks()[0]")
    go_to(page, "Home")
    page.wait_for_function("track => track.readyState === 'ended'", arg=track)


def test_messages_without_a_camera(served: tuple[str, Path], context: BrowserContext) -> None:
    address, _home = served
    messages = {"NotAllowedError": "may not use the camera", "NotFoundError": "No camera was found"}
    for error, message in messages.items():
        page = context.new_page()
        page.add_init_script(
            f"navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{error}'))"
        )
        begin(page, address, error)
        choose_tab(page, "Camera")
        page.get_by_role("button", name="Turn the camera on").click()
        expect(page.get_by_text(message)).to_be_visible()
        take_screenshot(page, f"camera-{error}")
    page = context.new_page()
    page.add_init_script("Object.defineProperty(Navigator.prototype, 'mediaDevices', {value: undefined})")
    begin(page, address, "insecure")
    choose_tab(page, "Camera")
    expect(page.get_by_text("over https")).to_be_visible()
    expect(page.get_by_role("button", name="Turn the camera on")).not_to_be_visible()
