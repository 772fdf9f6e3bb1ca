"""The Predict page in a browser: all inputs, explanations, abstention, and the correction of a prediction."""

import csv
import functools
import http.server
import io
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, expect

from studio.collect import tasks
from studio.data import open_database
from studio.datasets.projects import create_project, list_projects
from studio.images.store import ImageStore
from studio.jobs import queue
from studio.progress import Silent
from studio.retrain.options import RunOptions
from studio.retrain.runs import run_records
from studio.retrain.tasks import enqueue_run
from studio.settings import Settings
from studio.worker.perform import perform
from tests.conftest import NOW
from tests.e2e.conftest import choose_tab, run_server, take_screenshot, visit
from tests.retrain.material import data_folder, draw

pytestmark = pytest.mark.browser
PROJECT = "그림 drawings"
CIRCLE, SQUARE = "원 circle", "square"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A data folder with a project of sample shapes and two runs; and a folder of new shapes."""
    room = tmp_path_factory.mktemp("predicting")
    with data_folder(room / "내 studio") as home:
        settings = Settings(home=home)
        database = open_database(settings)
        with database.write() as session:
            project = create_project(session, PROJECT, NOW)

        def do(job_id: int) -> None:
            with database.write() as session:
                assert queue.claim_one(session, job_id, "me", NOW) is not None
            assert perform(database, settings, job_id, "me", Silent()) is None

        drawings = draw(room / "drawings", (CIRCLE, SQUARE), count=30)
        do(tasks.start_ingest_path(database, project.id, drawings, None, NOW))
        for name in ("short", "long"):
            options = RunOptions(how_many_training_steps=40 if name == "short" else 200)
            store = ImageStore(settings.images_dir)
            run_id = enqueue_run(database, store, project.id, options, NOW, name=name)
            with database.read() as session:
                job_id = run_records.get_run(session, run_id).job_id
            assert job_id is not None
            do(job_id)
        database.close()
        # Other seeds: the model has not been trained on these.
        new = draw(room / "새 new", ("a", "b", "line", CIRCLE, SQUARE), count=12)
        yield home, new


@pytest.fixture(scope="module")
def address(trained: tuple[Path, Path]) -> Iterator[str]:
    home, new = trained
    handler = functools.partial(_Quiet, directory=str(new))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        with run_server(home, STUDIO_ALLOW_HOSTS="127.0.0.1") as (studio, _process):
            _sites[studio] = f"http://127.0.0.1:{site.server_address[1]}"
            yield studio
        site.shutdown()


_sites: dict[str, str] = {}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, permissions=["camera"])
    context.set_default_timeout(30_000)
    yield context
    context.close()


def opened(page: Page, address: str) -> None:
    visit(page, f"{address}/predict?project={PROJECT}")
    expect(page.get_by_role("heading", name="Predict", exact=True)).to_be_visible()


def payload(path: Path) -> FilePayload:
    return FilePayload(name=path.name, mimeType="image/png", buffer=path.read_bytes())


def labels(home: Path) -> dict[str, int]:
    """Return the number of labelled images by class."""
    with sqlite3.connect(home / "studio.sqlite3") as database:
        rows: list[Any] = database.execute(
            "SELECT c.name, count(*) FROM labels l JOIN classes c ON c.id = l.class_id"
            " WHERE l.state = 'labelled' GROUP BY c.name"
        ).fetchall()
    return dict(rows)


def test_an_image_is_predicted_explained_and_corrected(
    page: Page, address: str, trained: tuple[Path, Path]
) -> None:
    home, new = trained
    opened(page, address)
    image = sorted((new / SQUARE).iterdir())[0]
    page.locator('input[type="file"]').first.set_input_files(
        [payload(image), FilePayload(name="나쁜.jpg", mimeType="image/jpeg", buffer=b"<svg></svg>")]
    )
    expect(page.get_by_role("heading", name=SQUARE)).to_be_visible()
    expect(page.get_by_text("SVG")).to_be_visible()
    expect(page.get_by_text("Network input")).to_be_visible()
    expect(page.get_by_text(f"Class activation map of “{SQUARE}”")).to_be_visible()
    near = page.locator('figure img[src^="/studio/thumbnails/"]')
    expect(near).to_have_count(6)
    for number in range(6):
        assert near.nth(number).evaluate("async (i) => { await i.decode(); return i.naturalWidth }") > 0
    take_screenshot(page, "predicting")
    before = labels(home)
    page.get_by_test_id("stButtonGroup").get_by_text(CIRCLE).click()
    expect(page.get_by_text(f"Added to the project as “{CIRCLE}”.")).to_be_visible()
    after = labels(home)
    assert after == before | {CIRCLE: before[CIRCLE] + 1}


def test_two_models_are_compared_with_their_abstention_thresholds(
    page: Page, address: str, trained: tuple[Path, Path]
) -> None:
    _home, new = trained
    opened(page, address)
    page.locator('input[type="file"]').first.set_input_files([payload(next((new / SQUARE).iterdir()))])
    expect(page.get_by_text("Nearest training images")).to_have_count(1)
    page.get_by_label("Compare with").click()
    page.get_by_role("option", name="short").click()
    expect(page.get_by_text("Nearest training images")).to_have_count(2)
    expect(page.get_by_text("Not sure below")).to_have_count(2)
    page.get_by_text("Not sure below").first.click()
    expect(page.get_by_text("Measured on")).to_be_visible()
    expect(page.get_by_role("cell", name="out of distribution")).to_be_visible()
    take_screenshot(page, "predicting-two")


def test_the_selected_tab_stays_when_an_element_above_disappears(
    page: Page, address: str, trained: tuple[Path, Path]
) -> None:
    home, new = trained
    opened(page, address)
    choose_tab(page, "URL")
    database = open_database(Settings(home=home))
    with database.write() as session:
        (project,) = list_projects(session)
        short = [run.id for run in run_records.list_runs(session, project.id) if run.name == "short"]
        run_records.delete(session, short, NOW)
    try:
        image = sorted((new / SQUARE).iterdir())[3]
        page.get_by_label("URL of an image").fill(f"{_sites[address]}/{SQUARE}/{image.name}")
        page.get_by_role("button", name="Download", exact=True).click()
        expect(page.get_by_role("heading", name=SQUARE)).to_have_count(1)
        expect(page.get_by_label("Compare with")).to_have_count(0)
        expect(page.get_by_role("tab", name="URL")).to_have_attribute("aria-selected", "true")
    finally:
        with database.write() as session:
            run_records.restore(session, short)
        database.close()


def test_a_pasted_and_a_downloaded_image_are_predicted(
    page: Page, address: str, trained: tuple[Path, Path]
) -> None:
    _home, new = trained
    image = sorted((new / SQUARE).iterdir())[1]
    opened(page, address)
    choose_tab(page, "Paste")
    target = page.get_by_role("textbox", name="Paste an image here")
    expect(target).to_be_visible()
    paste = """(place, [bytes, kind]) => {
        const data = new DataTransfer();
        if (bytes.length) data.items.add(new File([new Uint8Array(bytes)], "그림.png", { type: kind }));
        const told = { clipboardData: data, bubbles: true, composed: true };
        place.dispatchEvent(new ClipboardEvent("paste", told));
    }"""
    target.evaluate(paste, [[], ""])
    expect(page.get_by_text("There is no image in the clipboard.")).to_be_visible()
    target.evaluate(paste, [list(image.read_bytes()), "image/png"])
    expect(page.get_by_role("heading", name=SQUARE)).to_have_count(1)
    choose_tab(page, "URL")
    other = sorted((new / SQUARE).iterdir())[2]
    page.get_by_label("URL of an image").fill(f"{_sites[address]}/{SQUARE}/{other.name}")
    page.get_by_role("button", name="Download", exact=True).click()
    expect(page.get_by_role("heading", name=SQUARE)).to_have_count(2)
    page.get_by_label("URL of an image").fill("http://169.254.169.254/latest/meta-data/x.png")
    page.get_by_role("button", name="Download", exact=True).click()
    expect(page.get_by_text("is not fetched").first).to_be_visible()
    page.get_by_role("button", name="Remove pasted and downloaded images").click()
    expect(page.get_by_role("heading", name=SQUARE)).to_have_count(0)


def test_the_live_camera_predicts_until_it_is_off(page: Page, address: str) -> None:
    requests, statuses = list[str](), list[int]()
    page.on("request", lambda question: requests.append(question.url) if "/answer" in question.url else None)
    page.on("response", lambda answer: statuses.append(answer.status) if "/answer" in answer.url else None)
    opened(page, address)
    choose_tab(page, "Camera")
    page.get_by_text("Live", exact=True).click()
    page.get_by_role("button", name="Start the live camera").click()
    expect(page.get_by_text("ms per image")).to_be_visible()
    expect(page.locator("ol li")).to_have_count(2)
    take_screenshot(page, "predicting-live")
    page.get_by_role("button", name="Stop the live camera").click()
    expect(page.get_by_text("ms per image")).to_have_count(0)
    count = len(requests)
    page.wait_for_timeout(1_500)
    assert len(requests) == count, "requests went on after the camera was turned off"
    assert statuses
    assert set(statuses) == {200}


def test_a_folder_is_predicted_as_a_table_with_csv(
    page: Page, address: str, trained: tuple[Path, Path]
) -> None:
    _home, new = trained
    opened(page, address)
    choose_tab(page, "Folder")
    page.get_by_label("Folder on this computer").fill(str(new / "nowhere"))
    page.get_by_role("button", name="Predict all").click()
    expect(page.get_by_text("expected a folder with images")).to_be_visible()
    page.get_by_label("Folder on this computer").fill(str(new))
    page.get_by_role("button", name="Predict all").click()
    expect(page.get_by_text("60 images in")).to_be_visible(timeout=60_000)
    with page.expect_download() as coming:
        page.get_by_role("button", name="Download table (CSV)").click()
    text = Path(coming.value.path()).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 60
    squares = [row["answer"] for row in rows if row["file"].startswith(SQUARE)]
    assert squares.count(SQUARE) / len(squares) > 0.7
    take_screenshot(page, "predicting-folder")


def test_many_photographs_are_a_table(page: Page, address: str, trained: tuple[Path, Path]) -> None:
    _home, new = trained
    opened(page, address)
    page.locator('input[type="file"]').first.set_input_files(
        [payload(path) for path in sorted((new / SQUARE).iterdir())[:9]]
    )
    expect(page.get_by_test_id("stDataFrame").last).to_be_visible()
    expect(page.get_by_text("Select rows to see the images").last).to_be_visible()


def test_all_inputs_fit_a_phone(browser: Browser, address: str, trained: tuple[Path, Path]) -> None:
    _home, new = trained
    context = browser.new_context(viewport=PHONE, color_scheme="dark")  # type: ignore[arg-type]
    page = context.new_page()
    opened(page, address)
    page.locator('input[type="file"]').first.set_input_files([payload(next((new / SQUARE).iterdir()))])
    expect(page.get_by_text("Nearest training images")).to_be_visible(timeout=30_000)
    for tab in ("Paste", "URL", "Camera", "Folder"):
        choose_tab(page, tab)
        page.wait_for_timeout(300)
        assert page.evaluate(
            "() => { const m = document.querySelector('[data-testid=stMain]');"
            " return m.scrollWidth <= m.clientWidth; }"
        )
    take_screenshot(page, "phone-predicting")
    context.close()
