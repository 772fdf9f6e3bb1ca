"""Export of a model in a browser: the Share page, the parity table, the downloaded file."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from db.engine import Database
from db.migrate import migrate
from studio.progress import Silent
from studio.retrain.runs import run_records
from studio.share.exports import export as exporting
from studio.share.exports.export import export_run
from studio.share.exports.export_format import ExportContext
from studio.share.exports.parity import Parity
from studio.share.tasks import model_exports_dir
from tests.e2e.conftest import run_server, take_screenshot, visit
from tests.share.test_tasks import Bench

pytestmark = pytest.mark.browser
LONG_MS = 120_000
PHONE: ViewportSize = {"width": 390, "height": 844}


@dataclass
class Served:
    """A studio with one finished run."""

    address: str
    bench: Bench

    @property
    def page(self) -> str:
        return f"{self.address}/share?project=도형 <b>/1"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("내보내기 home") / "data"
    home.mkdir()
    database = Database(f"sqlite:///{(home / 'studio.sqlite3').as_posix()}")
    migrate(database)
    bench = Bench(database, home)
    with run_server(home) as (address, _process):
        yield Served(address, bench)
    database.close()


def test_a_chosen_form_is_written_measured_and_saved(shared: Served, page: Page, tmp_path: Path) -> None:
    visit(page, shared.page)
    expect(page.get_by_role("heading", name="Share", exact=True)).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_role("button", name="Export", exact=True)).to_be_disabled()
    page.get_by_role("button", name="TFLite, float32").click()
    expect(page.get_by_text("The run's own file")).to_be_visible()
    page.get_by_role("button", name="Export", exact=True).click()
    link = page.get_by_role("link", name="Download")
    expect(link).to_be_visible(timeout=LONG_MS)
    row = page.locator("tr", has_text="TFLite, float32")
    expect(row).to_contain_text("100.0%")
    take_screenshot(page, "share-exports")
    with page.expect_download() as downloading:
        link.click()
    wait_until_saved = tmp_path / "saved.zip"
    downloading.value.save_as(wait_until_saved)
    assert downloading.value.suggested_filename == f"도형 _b__1 {shared.bench.run_id} tflite.zip"
    with zipfile.ZipFile(wait_until_saved) as archive:
        assert archive.testzip() is None
        assert "도형 _b__1 tflite/model.tflite" in archive.namelist()


def test_an_export_that_loses_more_than_a_point_says_so_in_red(
    shared: Served, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = Parity(4_000_000, 200, 0, 0.95, 0.3, 0.02, 0.91, 0.885, 10.0, 4.0)
    monkeypatch.setattr(exporting, "measure_parity", lambda *_a, **_k: bad)
    bench = shared.bench
    with bench.database.read() as session:
        run_dir = bench.settings.runs_dir / run_records.get_run(session, bench.run_id).folder
    folder = model_exports_dir(bench.settings.exports_dir, bench.project_id) / str(bench.run_id)
    export_run(run_dir, "tflite-dynamic", folder / "tflite-dynamic.zip", ExportContext("x", folder, Silent()))
    context = browser.new_context(viewport=PHONE, color_scheme="dark", is_mobile=True, has_touch=True)
    page = context.new_page()
    visit(page, shared.page)
    alert = page.get_by_role("alert").filter(has_text="loses 2.5 points of accuracy")
    expect(alert).to_be_visible(timeout=LONG_MS)
    accuracy = page.locator("tr", has_text="dynamic range").get_by_text("91.0% → 88.5%").last
    red, green, blue = accuracy.evaluate(
        "each => getComputedStyle(each).color.match(/[\\d.]+/g).slice(0, 3).map(Number)"
    )
    assert red > 1.5 * max(green, blue)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    take_screenshot(page, "share-exports-phone")
    page.get_by_role("button", name="Delete these files").click()
    expect(page.get_by_role("link", name="Download")).to_have_count(0)
    assert list(folder.glob("*.zip")) == []
    context.close()
