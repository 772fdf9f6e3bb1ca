"""Export of a dataset in a browser: download the file, and import it into another project."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from studio.data import open_database
from studio.images.store import ImageStore
from studio.settings import Settings
from tests.datasets.material import everything, fill
from tests.e2e.conftest import run_server, take_screenshot, visit

pytestmark = pytest.mark.browser
LONG_MS = 60_000
PHONE: ViewportSize = {"width": 390, "height": 844}
PROJECT = "정원 <b> *1*"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Settings]]:
    settings = Settings(home=tmp_path_factory.mktemp("스튜디오 export") / "data")
    database = open_database(settings)
    fill(database, ImageStore(settings.images_dir), PROJECT)
    database.close()
    with run_server(settings.home) as (address, _process):
        yield address, settings


def open_export(page: Page, address: str) -> None:
    visit(page, f"{address}/curate?project={PROJECT}")
    page.locator("summary", has_text="Export").click(timeout=LONG_MS)
    expect(page.get_by_text("A folder for each class")).to_be_visible()


def export(page: Page, title: str) -> None:
    page.get_by_text(title, exact=True).click()
    page.get_by_role("button", name="Export", exact=True).click()


def test_a_file_is_written_saved_and_brought_in_again(
    served: tuple[str, Settings], page: Page, tmp_path: Path
) -> None:
    address, settings = served
    open_export(page, address)
    take_screenshot(page, "export-empty")
    export(page, "Class folders")
    link = page.get_by_role("link", name=" folders ")
    expect(link).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text("20 images,")).to_be_visible()
    take_screenshot(page, "export-done")
    with page.expect_download() as downloading:
        link.click()
    wait_until_saved = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(wait_until_saved)
    assert wait_until_saved.name.startswith("정원 _b_ _1_ folders ")
    with zipfile.ZipFile(wait_until_saved) as archive:
        assert archive.testzip() is None
        assert len([name for name in archive.namelist() if "/" in name]) == 20
        assert {"labels.csv", "retrain-studio.json", "ATTRIBUTION.csv"} <= set(archive.namelist())
    visit(page, address)
    page.get_by_label("Project name").fill("다시")
    page.get_by_role("button", name="Create project").click()
    page.get_by_text("On this computer", exact=True).click(timeout=LONG_MS)
    page.get_by_label("Path of a folder or archive on this computer").fill(str(wait_until_saved))
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("20 added")).to_be_visible(timeout=LONG_MS)
    database = open_database(settings)
    assert everything(database, "다시") == everything(database, PROJECT)
    database.close()


def test_exports_can_be_deleted_and_fit_a_phone(served: tuple[str, Settings], page: Page) -> None:
    address, settings = served
    page.set_viewport_size(PHONE)
    open_export(page, address)
    export(page, "TFRecord")
    link = page.get_by_role("link", name=" tfrecord ")
    expect(link).to_be_visible(timeout=LONG_MS)
    take_screenshot(page, "phone-export-done")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    page.get_by_role("button", name="Delete").first.click()
    expect(link).to_have_count(0)
    assert not list(settings.exports_dir.rglob("*tfrecord*"))
