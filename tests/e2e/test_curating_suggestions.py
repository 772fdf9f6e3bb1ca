"""From photographs to suggestions: the studio looks by itself, and what it found is accepted by a key."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from studio.datasets.projects import Project
from tests.conftest import FLOWERS
from tests.e2e.conftest import run_server, take_screenshot
from tests.e2e.labelling_grid import fill, open_grid, press, sidebar_entry, source, targets, wait_until_saved

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not FLOWERS.is_dir(), reason="the photographs are not here"),
]
GLANCE_MS = 240_000
EACH, LABELLED = 40, 15
CLASSES = ["roses", "sunflowers"]
NAME = "꽃 제안"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path, Project]]:
    home = tmp_path / "제안 home"
    sources = []
    for name in CLASSES:
        for number, path in enumerate(sorted((FLOWERS / name).glob("*.jpg"))[:EACH]):
            label = name if number < LABELLED else None
            sources.append(source(f"{name} {number}.jpg", path.read_bytes, label))
    project = fill(home, NAME, sources, analyse=True)
    with run_server(home) as (address, _server):
        yield address, home, project


def test_what_the_studio_found_is_accepted(served: tuple[str, Path, Project], browser: Browser) -> None:
    address, home, project = served
    page: Page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(30_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_grid(page, address, NAME)
    expect(page.get_by_text("after the analysis")).to_be_visible()
    take_screenshot(page, "curating-being-looked-through")
    # Nobody reloads: the grid hears of it.
    expect(sidebar_entry(page, "Suggestions")).to_be_visible(timeout=GLANCE_MS)
    expect(sidebar_entry(page, "Label next")).to_be_visible()
    sidebar_entry(page, "Suggestions").click()
    expect(page.locator(".tile.suggested").first).to_be_visible()
    take_screenshot(page, "curating-suggestions")
    assert "found=suggestion" in page.url and "order=suggestion" in page.url
    page.get_by_role("listbox", name="Images").focus()
    before = targets(home, project.id)
    press(page, *["Enter"] * 5)
    expect(page.get_by_text("5 images no longer belong here.")).to_be_visible()
    press(page, "Control+a")
    page.get_by_role("button", name="Accept suggestions").click()
    wait_until_saved(page)
    now = targets(home, project.id)
    accepted = [image for image in now if before[image][0] == "unlabelled" and now[image][0] == "labelled"]
    assert len(accepted) == 2 * (EACH - LABELLED)

    # The map, and a lasso's worth of it in the grid.
    page.get_by_role("button", name="Map", exact=True).click()
    page.get_by_role("button", name="Select visible images").click()
    expect(page.get_by_text(f"{2 * EACH} selected", exact=True)).to_be_visible()
    take_screenshot(page, "curating-map")
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.locator(".tile[aria-selected='true']").first).to_be_visible()
    expect(page.get_by_role("button", name="Chosen on the map")).to_be_visible()
    press(page, "Escape")
    # Those most like one image, itself first.
    page.locator(".tile").nth(3).dblclick()
    image = page.locator(".tile.focus").get_attribute("data-id")
    page.get_by_role("button", name="Similar images").click()
    expect(page.locator(".tile[aria-posinset='1']")).to_have_attribute("data-id", image or "")
    assert f"like={image}" in page.url
    page.close()
    assert errors == []
