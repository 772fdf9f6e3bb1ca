"""Images from the web in a browser: a crawl with its skip reasons, and a search with chosen hits."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.collect.web.fake_search_services import FakeOpenverse, openverse_result
from tests.collect.web.sample_site import ADDED, SKIPPED, SampleSite, serve
from tests.e2e.conftest import choose_tab, run_server, take_screenshot, visit
from tests.e2e.labelling_grid import expect_count

pytestmark = pytest.mark.browser
LONG_MS = 120_000
HITS = 24


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home: Path = tmp_path_factory.mktemp("웹 home") / "data"
    allowed = {"STUDIO_ALLOW_HOSTS": "127.0.0.1", "STUDIO_SITE_DELAY_S": "0.02"}
    hits = {"rose": [openverse_result(number) for number in range(1, HITS + 1)]}
    with (
        FakeOpenverse(hits) as openverse,
        run_server(home, STUDIO_OPENVERSE_ADDRESS=openverse.url, **allowed) as (studio, _process),
    ):
        yield studio


def begin(page: Page, address: str, name: str, class_name: str) -> None:
    visit(page, address)
    page.get_by_label("Project name").fill(name)
    page.get_by_role("button", name="Create project").click()
    box = page.get_by_role("combobox", name="Class for these images (optional)")
    box.click()
    box.fill(class_name)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Images outside folders get the class")).to_be_visible()


def test_a_crawl_shows_progress_and_skip_reasons(address: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(30_000)
    with serve(SampleSite(delay_s=0.1)) as site:
        begin(page, address, "정원", "장미")
        choose_tab(page, "Web pages")
        take_screenshot(page, "crawl-form")
        page.get_by_label("URLs of pages, one per line").fill(site.url)
        page.get_by_role("radio", name="2 links deep").click()
        page.get_by_role("button", name="Crawl").click()
        expect(page.get_by_text(re.compile(r"Fetching images · \d+ / \d+"))).to_be_visible(timeout=LONG_MS)
        take_screenshot(page, "crawl-live")
        done = f"{len(ADDED)} added, 1 duplicate, {len(SKIPPED)} skipped."
        expect(page.get_by_text(done)).to_be_visible(timeout=LONG_MS)
    page.get_by_text(f"Not added: {len(SKIPPED) + 1}").click()
    expect(page.get_by_text("robots.txt forbids it · 2")).to_be_visible()
    expect(page.get_by_text("the site wants no use by AI, or no indexing · 2")).to_be_visible()
    take_screenshot(page, "crawl-reasons")
    page.get_by_role("button", name="Next: curate").click()
    expect_count(page, "장미", len(ADDED))
    page.close()


def test_search_hits_are_shown_before_they_are_added(address: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(30_000)
    begin(page, address, "찾기", "rose")
    choose_tab(page, "Search")
    page.get_by_label("Search phrases").fill("rose")
    page.get_by_test_id("stTabs").get_by_role("button", name="Search").click()
    expect(page.get_by_role("button", name=f"Add all {HITS}")).to_be_visible(timeout=LONG_MS)
    tiles = page.locator("button.tile")
    expect(tiles).to_have_count(HITS)
    shown_px = tiles.first.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert shown_px > 0
    tiles.nth(0).click()
    tiles.nth(2).click()
    take_screenshot(page, "search-hits")
    page.get_by_role("button", name="Add 2 images").click()
    expect(page.get_by_text("2 added, 0 duplicates, 0 skipped.")).to_be_visible(timeout=LONG_MS)
    take_screenshot(page, "search-kept")
    page.close()
