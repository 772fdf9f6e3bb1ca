"""Provenance of an image in a browser: untrusted text is escaped, and licences are a filter."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from studio.collect.ingest import ImportContext, ingest
from studio.data import open_database
from studio.datasets.projects import create_project
from studio.datasets.sources import Source
from studio.images.provenance import Provenance
from studio.images.store import ImageStore
from studio.settings import Settings
from tests.collect.material import image_bytes
from tests.conftest import NOW
from tests.e2e.conftest import run_server, take_screenshot
from tests.e2e.labelling_grid import open_grid, sidebar_entry

pytestmark = pytest.mark.browser
LONG_MS = 60_000
PHONE: ViewportSize = {"width": 390, "height": 844}
HOSTILE = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script> *rose* 장미'
KNOWN = Provenance(
    page_address="https://정원.example/꽃?a=1&b=<b>",
    title=HOSTILE,
    creator="Anna <a href='javascript:window.hacked=1'>Söhne</a>",
    licence="CC BY-SA 4.0",
    licence_address="https://creativecommons.org/licenses/by-sa/4.0/",
    robots="robots.txt allows",
)
LURING = Provenance(page_address="javascript:window.hacked=1", licence_address="data:text/html,x")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("스튜디오 provenance") / "data"
    fill(home)
    with run_server(home) as (address, _process):
        yield address


def fill(home: Path) -> None:
    settings = Settings(home=home)
    database = open_database(settings)
    with database.write() as session:
        project = create_project(session, "정원", NOW)

    def found(
        number: int, address: str, provenance: Provenance, class_name: str, kind: str = "crawl"
    ) -> Source:
        return Source(address, lambda: image_bytes(number, 640, 480), class_name, kind, provenance)

    sources = [
        found(0, "https://정원.example/rose.jpg?w=640", KNOWN, "장미"),
        found(0, "https://mirror.example/x.jpg", LURING, "장미"),
        *(found(n, f"folder/장미 {n}.jpg", Provenance(), "장미", "folder") for n in range(1, 4)),
        *(found(n, f"webcam {n}.jpg", Provenance(), "튤립", "camera") for n in range(4, 6)),
    ]
    store = ImageStore(settings.images_dir)
    ingest(ImportContext(database=database, store=store, project_id=project.id, clock=lambda: NOW), sources)
    database.close()


def open_curate(page: Page, address: str) -> None:
    open_grid(page, address, "정원")
    sidebar_entry(page, "장미").click()
    expect(page.locator(".tile")).to_have_count(4, timeout=LONG_MS)
    expect(named(page, "rose.jpg")).to_be_visible()


def named(page: Page, name: str) -> Locator:
    return page.locator(f".tile[title='{name}']")


def open_provenance(page: Page, address: str) -> None:
    """Open Curate, and the details of the image from the web."""
    open_curate(page, address)
    named(page, "rose.jpg").click()
    page.keyboard.press("i")
    expect(page.locator("dialog.viewer dl")).to_have_count(3)


def test_provenance_are_shown_as_text_with_links_of_the_web_only(address: str, page: Page) -> None:
    open_provenance(page, address)
    dialog = page.locator("dialog.viewer")
    expect(dialog.get_by_text(HOSTILE, exact=True)).to_be_visible()
    expect(dialog.get_by_text(KNOWN.creator, exact=True)).to_be_visible()
    assert dialog.locator("img").count() == 1  # the image itself
    assert page.evaluate("window.hacked") is None

    links = dialog.get_by_role("link")
    assert [link.inner_text() for link in links.all()] == [
        "https://정원.example/rose.jpg?w=640",
        KNOWN.page_address,
        "CC BY-SA 4.0",
        "https://mirror.example/x.jpg",
    ]
    for link in links.all():
        assert link.get_attribute("target") == "_blank"
        assert set((link.get_attribute("rel") or "").split()) == {"noopener", "noreferrer", "nofollow"}
    terms = dialog.locator("dl").nth(1).locator("dt").all_inner_texts()
    assert terms == ["Found at", "On the page", "Title", "Author", "Licence", "Added", "Robots rules"]
    expect(dialog.locator("dl").nth(2)).to_contain_text("javascript:window.hacked=1")  # shown, and no link
    take_screenshot(page, "provenance-light")

    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    expect(page.get_by_role("listbox", name="Images")).to_be_focused()
    expect(named(page, "rose.jpg")).to_have_class(re.compile("focus"))
    named(page, "장미 1.jpg").dblclick()
    page.keyboard.press("i")
    expect(dialog.locator("dl")).to_have_count(2)
    expect(dialog).to_contain_text("unknown")


def test_a_studio_that_does_not_answer_is_reported(address: str, page: Page) -> None:
    page.route("**/studio/projects/*/pictures/**", lambda route: route.abort())
    open_curate(page, address)
    page.keyboard.press("i")
    expect(page.get_by_text("Its provenance could not be read")).to_be_visible()


def test_images_of_unknown_licence_are_found(address: str, page: Page) -> None:
    open_curate(page, address)
    tiles = page.locator(".tile")
    page.get_by_text("Filters").click()
    licence = page.get_by_label("Licence")
    licence.select_option("Unknown")
    expect(tiles).to_have_count(3)
    take_screenshot(page, "curate-unknown")
    sidebar_entry(page, "튤립").click()  # what narrows stays
    expect(page.get_by_text("No images here.")).to_be_visible()
    page.get_by_text("Filters · 1").click()
    licence.select_option("Known")
    expect(tiles).to_have_count(2)  # own work has no unknown licence
    sidebar_entry(page, "장미").click()
    expect(tiles).to_have_count(1)
    page.get_by_role("button", name="Licence: Known").click()
    expect(tiles).to_have_count(4)


def test_provenance_fit_a_phone_and_the_dark(address: str, browser: Browser) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, color_scheme="dark")
    context.set_default_timeout(30_000)
    page = context.new_page()
    open_provenance(page, address)
    take_screenshot(page, "provenance-phone-dark")
    assert page.locator("dialog.viewer").evaluate(
        "dialog => dialog.scrollWidth <= dialog.clientWidth"
        " && dialog.getBoundingClientRect().right <= innerWidth"
    )
    close = page.locator("dialog.viewer").get_by_role("button", name="Close")
    expect(close).to_be_in_viewport()
    close.click()
    take_screenshot(page, "curate-phone-dark")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    context.close()
