"""Two people label the same images: each sees what the other does, and a clash is theirs to settle."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.collect.material import image_bytes
from tests.e2e.conftest import run_server, take_screenshot
from tests.e2e.labelling_grid import fill, open_grid, press, shown, source, tile, wait_until_saved

pytestmark = pytest.mark.browser
NAME = "둘이서"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home: Path = tmp_path_factory.mktemp("둘 home") / "data"
    classes = ["장미", "튤립"]
    fill(
        home,
        NAME,
        [
            source(f"{number}.jpg", lambda n=number: image_bytes(n), classes[number] if number < 2 else None)  # type: ignore[misc]
            for number in range(20)
        ],
    )
    with run_server(home) as (address, _server):
        yield address


@pytest.fixture
def two(browser: Browser) -> Iterator[tuple[Page, Page]]:
    contexts = [browser.new_context(viewport={"width": 1280, "height": 900}) for _each in range(2)]
    pages = []
    errors: list[str] = []
    for context in contexts:
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        pages.append(page)
    yield pages[0], pages[1]
    for context in contexts:
        context.close()
    assert errors == []


def test_each_sees_what_the_other_does(address: str, two: tuple[Page, Page]) -> None:
    for page in two:
        open_grid(page, address, NAME)
    ids = shown(two[0])
    press(two[0], "1")
    expect(tile(two[1], ids[0]).locator(".chip")).to_have_text("장미")
    press(two[1], "ArrowRight", "x")
    expect(tile(two[0], ids[1]).locator(".chip")).to_have_text("rejected")
    # What was just seen can be decided about anew, with no clash.
    press(two[0], "2")
    expect(tile(two[1], ids[1]).locator(".chip")).to_have_text("튤립")
    press(two[0], "u", "u")
    expect(tile(two[1], ids[0]).locator(".chip")).to_have_text("")
    expect(two[0].locator(".notice")).to_have_count(0)
    expect(two[1].locator(".notice")).to_have_count(0)


def test_a_clash_is_settled_either_way_or_later(address: str, two: tuple[Page, Page]) -> None:
    one, other = two
    for page in two:
        open_grid(page, address, NAME)
    first, second, third = shown(one)[5:8]
    # The other hears nothing of what the one does.
    nothing_new = re.compile(r"/(changes|items)\?")
    other.route(nothing_new, lambda route: route.abort())
    press(one, *["ArrowRight"] * 5, "1", "1", "1")
    wait_until_saved(one)
    notice = other.locator(".notice")
    press(other, *["ArrowRight"] * 5, "2")
    expect(notice).to_contain_text("Somebody else labelled 1 image meanwhile.")
    label = re.compile(r"\d+\.jpg, 장미, clash: somebody else labelled it 튤립")
    expect(tile(other, first)).to_have_attribute("aria-label", label)
    take_screenshot(other, "curating-clash")
    other.get_by_role("button", name="Keep theirs").click()
    expect(notice).to_have_count(0)
    expect(tile(other, first).locator(".chip")).to_have_text("장미")
    expect(tile(other, first).locator(".badge.conflict")).to_have_count(0)

    other.locator(".grid").focus()
    press(other, "2")
    other.get_by_role("button", name="Use mine").click()
    expect(tile(other, second).locator(".chip")).to_have_text("튤립")
    expect(tile(one, second).locator(".chip")).to_have_text("튤립")

    # One that is put off is found again, by both of them.
    other.locator(".grid").focus()
    press(other, "2")
    notice.get_by_role("button", name="Close").click()
    other.unroute(nothing_new)
    for page in two:
        page.get_by_role("button", name="Clashes").click()
        expect(page.locator(".tile")).to_have_count(1)
        expect(tile(page, third).locator(".badge.conflict")).to_be_visible()
    tile(one, third).click()
    one.get_by_role("button", name="Use the other label").click()
    expect(tile(one, third).locator(".chip")).to_have_text("튤립")
    expect(tile(other, third).locator(".chip")).to_have_text("튤립")
    expect(one.get_by_text("1 image no longer belongs here.")).to_be_visible()
    one.get_by_role("button", name="Refresh").click()
    expect(one.get_by_text("No images here.")).to_be_visible()
    expect(one.get_by_role("button", name="Clashes")).to_have_count(0)
