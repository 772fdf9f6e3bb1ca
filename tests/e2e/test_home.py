"""The Home page of a project in a browser: counts, charts, links to its pages, renaming, all projects."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from db.models import AnalysisRow, FindingRow
from studio.collect.ingest import ImportContext, ingest
from studio.data import open_database
from studio.datasets.projects import create_project
from studio.datasets.sources import Source
from studio.images.provenance import Provenance
from studio.images.store import ImageStore
from studio.retrain.evaluation.evaluation import Evaluation
from studio.settings import Settings
from tests.collect.material import image_bytes
from tests.conftest import NOW
from tests.e2e.conftest import go_to, run_server, take_screenshot, visit

pytestmark = pytest.mark.browser
LONG_MS = 60_000
PHONE: ViewportSize = {"width": 390, "height": 844}
NAME = "정원 *a* [b](c)"
HOSTILE = "<img src=x onerror='window.hacked=1'>"
SIZES = {
    "장미 rose": 14,
    HOSTILE: 9,
    "a class whose name is much longer than there is room for it": 6,
    "튤립": 2,
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("스튜디오 home") / "data"
    fill(Settings(home=home))
    with run_server(home) as (address, _process):
        yield address


def fill(settings: Settings) -> None:
    database = open_database(settings)
    with database.write() as session:
        create_project(session, "빈 empty", NOW)
        project = create_project(session, NAME, NOW)
    classes = [name for name, size in SIZES.items() for _number in range(size)]
    provenances = [
        ("folder", ""),
        ("crawl", "CC BY 2.0"),
        ("openverse", "CC BY-SA 4.0"),
        ("camera", ""),
        ("crawl", ""),
    ]
    sources = [
        Source(
            f"{kind} {number}.jpg",
            lambda number=number: image_bytes(number),  # type: ignore[misc]
            class_name,
            kind,
            Provenance(licence=licence),
        )
        for number, class_name in enumerate([*classes, None, None, None])
        for kind, licence in (provenances[number % len(provenances)],)
    ]
    store = ImageStore(settings.images_dir)
    ingest(ImportContext(database=database, store=store, project_id=project.id, clock=lambda: NOW), sources)
    with database.write() as session:
        add_findings(session, project.id)
    database.close()


def add_findings(session: Session, project_id: int) -> None:
    label = models.LabelRow
    labelled, unlabelled = (
        session.scalars(select(label.image_id).filter_by(project_id=project_id, state=state)).all()
        for state in ("labelled", "unlabelled")
    )
    found = {("doubtful", image): 0.8 for image in labelled[:5]}
    found |= {("suggestion", image): 0.9 for image in unlabelled}
    found |= {("blurred", labelled[0]): 0.9}
    session.add_all(
        FindingRow(project_id=project_id, kind=kind, image_id=image, score=score, operation_number=99)
        for (kind, image), score in found.items()
    )
    session.add(AnalysisRow(project_id=project_id, kind="review", operation_number=1, facts={}, at=NOW))
    snapshot = models.SnapshotRow(project_id=project_id, hash="x", created_at=NOW)
    session.add(snapshot)
    session.flush()
    evaluation = Evaluation(0.914, 35, None, (), (), (), ())
    session.add(
        models.RunRow(
            project_id=project_id,
            snapshot_id=snapshot.id,
            folder="x",
            options={},
            evaluation=evaluation.to_json(),
            created_at=NOW,
            ended_at=NOW,
        )
    )


def wait_for_charts(page: Page) -> None:
    """Wait until all four charts are drawn."""
    for title in ("Classes", "Sources", "Licences", "Splits"):
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_test_id("stVegaLiteChart").locator("canvas, svg")).to_have_count(4)


def metric_value(page: Page, name: str) -> str:
    metric = page.get_by_test_id("stMetric").filter(has_text=re.compile(f"^{name}"))
    return metric.get_by_test_id("stMetricValue").inner_text()


def test_home_of_a_project_shows_counts_charts_and_issues(address: str, page: Page) -> None:
    visit(page, address)
    card = page.locator("[class*='st-key-project-']").filter(has_text=NAME)
    card.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", name=NAME, exact=True)).to_be_visible(timeout=LONG_MS)
    wait_for_charts(page)
    assert metric_value(page, "Images") == "34"
    assert metric_value(page, "Labelled") == "31"
    assert metric_value(page, "Unlabelled") == "3"
    assert metric_value(page, "Rejected") == "0"
    assert metric_value(page, "Test accuracy") == "91.4%"
    for issue in ("5 label issues", "3 suggested labels", "1 blurred image"):
        expect(page.get_by_role("link", name=issue)).to_be_visible()
    take_screenshot(page, "project-home")
    assert page.evaluate("window.hacked") is None
    page.reload()
    expect(page.get_by_role("heading", name=NAME, exact=True)).to_be_visible(timeout=LONG_MS)


def test_links_to_pages_and_back(address: str, page: Page) -> None:
    visit(page, f"{address}/?project={NAME}")
    wait_for_charts(page)
    page.get_by_role("link", name="Train a model").click()
    expect(page.get_by_role("heading", name="Retrain", exact=True)).to_be_visible()
    page.go_back()
    wait_for_charts(page)
    page.get_by_role("link", name="5 label issues").click()
    expect(page.get_by_role("heading", name="Curate", exact=True)).to_be_visible()
    assert "found=doubtful" in page.url
    assert "order=doubtful" in page.url
    page.go_back()
    wait_for_charts(page)
    go_to(page, "Collect")  # the navigation keeps the project
    page.get_by_role("link", name=NAME).click()
    wait_for_charts(page)
    page.get_by_role("button", name="All projects").click()
    expect(page.get_by_role("heading", name="Retrain Studio")).to_be_visible()
    expect(page.get_by_text("빈 empty")).to_be_visible()
    page.wait_for_url(lambda url: "project=" not in url)
    page.go_back()
    wait_for_charts(page)


def test_a_project_without_images_and_a_missing_project(address: str, page: Page) -> None:
    visit(page, f"{address}/?project=빈 empty")
    expect(page.get_by_text("There are no images in this project yet.")).to_be_visible()
    page.get_by_role("button", name="Collect images").click()
    expect(page.get_by_role("heading", name="Collect", exact=True)).to_be_visible()
    visit(page, f"{address}/?project=없음")
    expect(page.get_by_text("There is no project named 없음.")).to_be_visible()
    expect(page.get_by_role("heading", name="Retrain Studio")).to_be_visible()


def test_phone_and_dark_theme(address: str, browser: Browser) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, color_scheme="dark")
    context.set_default_timeout(30_000)
    page = context.new_page()
    visit(page, f"{address}/?project={NAME}")
    wait_for_charts(page)
    take_screenshot(page, "project-home-phone-dark")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    context.close()


def test_a_project_is_renamed_by_keyboard(address: str, page: Page) -> None:
    visit(page, f"{address}/?project=빈 empty")
    tab = page.context.new_page()
    visit(tab, f"{address}/collect?project=빈 empty")
    opener = page.get_by_role("button", name="Rename", exact=True)
    opener.press("Enter")
    name = page.get_by_label("New project name")
    expect(name).to_have_value("빈 empty")
    take_screenshot(page, "project-rename")

    name.fill(NAME)
    name.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="already")).to_be_visible()
    expect(page.get_by_role("heading", name="빈 empty", exact=True)).to_be_visible()

    name.fill("새 *name* <b>")
    page.get_by_role("button", name="Rename project").press("Enter")
    expect(page.get_by_role("heading", name="새 *name* <b>", exact=True)).to_be_visible()
    expect(name).to_have_count(0)
    page.wait_for_url(lambda url: "empty" not in url)
    go_to(page, "Collect")
    expect(page.get_by_role("link", name="새 *name* <b>")).to_be_visible()

    # A page that was opened under the old name goes on with the new one.
    tab.get_by_role("tab", name="URLs").click()
    go_to(tab, "Curate")
    expect(tab.get_by_role("link", name="새 *name* <b>")).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page.get_by_role("heading", name="새 *name* <b>", exact=True)).to_be_visible()
    tab.close()

    opener.press("Enter")
    name.fill("빈 empty")
    name.press("Enter")
    expect(page.get_by_role("heading", name="빈 empty", exact=True)).to_be_visible()
