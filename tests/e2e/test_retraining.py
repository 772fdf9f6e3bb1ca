"""The Retrain page: several runs, stop, confusion matrix, corrected labels, comparison, TensorBoard."""

import hashlib
import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from studio.datasets.sources import Source
from studio.datasets.splits import split_of
from tests.conftest import FLOWERS, until
from tests.e2e.conftest import go_to, take_screenshot, visit
from tests.e2e.labelling_grid import expect_count, fill, focused, press, source, tile, wait_until_saved

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not FLOWERS.is_dir(), reason=f"the photographs are not at {FLOWERS}"),
]
LONG_MS = 180_000
PHONE: ViewportSize = {"width": 390, "height": 844}
PROJECT = "꽃밭 *garden*"
DAISY, ROSES, TULIPS = "daisy", "장미 roses", "tulips"
_EACH, _MISLABELLED = 50, 3


@pytest.fixture(scope="module")
def garden(served: tuple[str, Path]) -> Iterator[str]:
    """The URL of a project with three classes of flowers; some test images of tulips are labelled roses."""
    address, home = served
    sources: list[Source] = []
    mislabelled = 0
    for name in (DAISY, ROSES, TULIPS):
        for path in sorted((FLOWERS / name.rpartition(" ")[2]).glob("*.jpg"))[:_EACH]:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            is_wrong = (
                name == TULIPS and mislabelled < _MISLABELLED and split_of(digest, 10, 10, 0) == "testing"
            )
            mislabelled += is_wrong
            sources.append(source(f"사진 {path.name}", path.read_bytes, ROSES if is_wrong else name))
    assert mislabelled == _MISLABELLED
    fill(home, PROJECT, sources)
    yield f"{address}/retrain?project={quote(PROJECT)}"


def row(page: Page, name: str) -> Locator:
    """Return a run's row in the table."""
    named = page.locator(".run-name span", has_text=re.compile(f"^{re.escape(name)}$"))
    return page.locator(".runs tbody tr").filter(has=named)


def curve_values(page: Page) -> Locator:
    return page.locator(".values tbody tr")


def set_steps(page: Page, steps: int, learning_rate: str = "") -> None:
    expect(page.get_by_role("button", name=re.compile(r"^(Retrain|Train \d)"))).to_be_visible()
    if not page.get_by_label("Training steps", exact=True).is_visible():
        page.get_by_text("Settings", exact=True).click()
    page.get_by_label("Training steps", exact=True).fill(str(steps))
    page.get_by_label("Training steps", exact=True).press("Enter")
    if learning_rate:
        page.get_by_role("textbox", name="Learning rate").fill(learning_rate)
        page.get_by_role("textbox", name="Learning rate").press("Enter")


def retrain(page: Page) -> None:
    page.get_by_role("button", name="Retrain", exact=True).click()


def wait_until_finished(page: Page, name: str) -> None:
    """Wait until a run is finished and its results are shown."""
    expect(row(page, name).locator("td").nth(1)).to_have_text(re.compile(r"%$"), timeout=LONG_MS)
    expect(page.locator(".results h2")).to_contain_text(name, timeout=LONG_MS)
    expect(page.locator(".figure").first).to_be_visible(timeout=LONG_MS)


def test_from_a_first_run_to_corrected_labels(garden: str, page: Page) -> None:
    visit(page, garden)
    set_steps(page, 400)
    expect(page.locator(".retraining")).to_be_attached()
    expect(page.locator(".retraining")).to_be_hidden()  # no run yet
    retrain(page)
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    wait_until_finished(page, "Run 1")
    first_accuracy = row(page, "Run 1").locator("td").nth(1).inner_text()
    take_screenshot(page, "retraining-first")

    expect(page.get_by_label("Training steps", exact=True)).to_have_value("400")  # the form keeps its values

    # A second run is shown with the first, and stopped half-way.
    set_steps(page, 100_000)
    retrain(page)
    expect(row(page, "Run 2")).to_contain_text("running", timeout=LONG_MS)
    expect(curve_values(page)).to_have_count(2)
    expect(curve_values(page).nth(1).locator("td").nth(2)).to_have_text(re.compile("%"), timeout=LONG_MS)
    assert page.locator(".plot-lines .plot-line").count() == 8  # two measures of two splits of two runs
    take_screenshot(page, "retraining-live")
    page.get_by_role("button", name="Stop").click()
    expect(row(page, "Run 2")).to_contain_text("stopped", timeout=LONG_MS)
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    assert 0 < int(curve_values(page).nth(1).locator("td").first.inner_text().replace(",", "")) < 100_000

    check_curves(page)

    # A wrong prediction is opened from the confusion matrix, and its label is corrected in the grid by key.
    row(page, "Run 1").get_by_role("button").click()
    cell = page.get_by_role("link", name=re.compile(rf"of {ROSES} predicted as {TULIPS}"))
    taken = int(cell.inner_text())
    assert taken >= 1
    mistakes = page.locator(".mistake")
    assert mistakes.count() >= taken
    scores = [
        float(text)
        for text in re.findall(r"([\d.]+)%", " ".join(mistakes.locator(".predicted").all_inner_texts()))
    ]
    assert scores == sorted(scores, reverse=True)
    cell.click()
    expect(page.get_by_text(f"Run 1: {ROSES} predicted as {TULIPS}")).to_be_visible()
    expect(page.locator(".tile")).to_have_count(taken)
    take_screenshot(page, "retraining-cell")
    page.go_back()
    page.get_by_role("link", name=re.compile("in Curate")).click()
    expect(page.get_by_text("Run 1: wrong predictions")).to_be_visible()
    expect(page.locator(".tile img").first).to_be_visible()
    grid = page.get_by_role("listbox", name="Images")
    grid.focus()
    while ROSES not in tile(page, focused(page)).locator(".chip").inner_text():
        press(page, "ArrowRight")
    mended = focused(page)
    press(page, "3")
    expect(tile(page, mended).locator(".chip")).to_have_text(TULIPS)
    wait_until_saved(page)
    expect_count(page, TULIPS, _EACH - _MISLABELLED + 1)

    # The comparison with a third run shows the change of image, classes and accuracy.
    go_to(page, "Retrain")
    set_steps(page, 400)
    retrain(page)
    wait_until_finished(page, "Run 3")
    page.get_by_label("Compare with").select_option(label="Run 1")
    differences = page.locator(".differences")
    expect(differences).to_contain_text("1 image was relabelled")
    expect(differences).to_contain_text(f"{ROSES} → {TULIPS} 1")
    expect(differences).to_contain_text("All settings are the same.")
    expect(differences.locator("tr.differs").first).to_contain_text(first_accuracy)
    expect(differences.get_by_role("row", name=re.compile(TULIPS))).to_contain_text(re.compile(r"[+±-]"))
    take_screenshot(page, "retraining-difference")
    differences.get_by_role("link", name="1 image was relabelled").click()
    expect(page.locator(".tile")).to_have_count(1)
    expect(tile(page, mended)).to_be_visible()
    expect(page.get_by_text("Relabelled between runs 1 and 3")).to_be_visible()


def check_curves(page: Page) -> None:
    """Smooth, read and zoom the curves by keyboard and mouse."""
    lines = page.locator(".plot-lines .plot-line")
    slider = page.get_by_label("Smoothing")
    slider.focus()
    press(page, "End")
    strong = lines.first.get_attribute("d")
    press(page, "Home")
    expect(page.locator(".smoothing output")).to_have_text("0.00")
    assert lines.first.get_attribute("d") != strong
    assert page.locator(".plot-raw").count() == 0
    press(page, "ArrowRight", "ArrowRight")
    assert page.locator(".plot-raw").count() == lines.count()

    caption = page.locator(".values caption")
    expect(caption).to_have_text("Latest values")
    plot = page.get_by_role("slider", name="Accuracy")
    plot.focus()
    press(page, "Home", "ArrowRight")
    expect(caption).to_have_text(re.compile("At step "))
    assert "Run 2, validation" in (plot.get_attribute("aria-valuetext") or "")
    press(page, "Escape")
    everything = lines.first.get_attribute("d")
    box = plot.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 80, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, middle, steps=4)
    page.mouse.up()
    expect(page.get_by_role("button", name="Show all")).to_be_visible()
    assert lines.first.get_attribute("d") != everything
    page.mouse.dblclick(box["x"] + 120, middle)
    expect(page.get_by_role("button", name="Show all")).not_to_be_visible()
    page.get_by_label("X axis").select_option(label="time")
    plot.focus()
    press(page, "ArrowLeft")
    expect(caption).to_have_text(re.compile("After .* (s|min)"))
    page.get_by_label("X axis").select_option(label="steps")


def test_names_notes_deleting_and_a_sweep(garden: str, page: Page) -> None:
    visit(page, garden)
    rows = page.locator(".runs tbody tr")
    expect(rows.first).to_be_visible()
    count = rows.count() + 2
    set_steps(page, 50, "0.003; much")
    expect(page.get_by_text("expected one to 12 learning rates")).to_be_visible()
    expect(page.get_by_role("button", name="Retrain", exact=True)).to_be_disabled()
    set_steps(page, 50, "0.003, 0.03")
    page.get_by_role("button", name="Train 2 runs").click()
    wait_until_finished(page, f"Run {count}")

    page.get_by_role("button", name="Name and note").click()
    page.get_by_label("Name", exact=True).fill("빠른 <b>fast</b>")
    page.get_by_label("Note", exact=True).fill("처음 시도\nfirst try")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".results h2")).to_contain_text("빠른 <b>fast</b>")
    expect(page.locator(".run-note")).to_contain_text("first try")

    page.get_by_label("Filter runs").fill("fast")
    expect(rows).to_have_count(1)
    page.get_by_label("Filter runs").fill("")
    expect(rows).to_have_count(count)
    page.get_by_role("button", name="Learning rate", exact=True).click()
    rates = [float(text) for text in page.locator(".runs tbody tr td:nth-last-child(1)").all_inner_texts()]
    assert rates == sorted(rates, reverse=True)

    page.locator(".results").get_by_role("button", name="Delete").click()
    expect(rows).to_have_count(count - 1)
    expect(page.get_by_text("1 deleted run")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(rows).to_have_count(count)
    expect(row(page, "빠른 <b>fast</b>")).to_be_visible()


def test_tensorboard_opens_on_the_runs_of_the_project(garden: str, page: Page) -> None:
    visit(page, garden)
    with page.expect_popup() as popup:
        page.get_by_role("button", name="Open TensorBoard").click()
    board = popup.value
    board.wait_for_url(re.compile(r"^http://127\.0\.0\.1:\d+/"), timeout=LONG_MS)
    address = re.match(r"http://127\.0\.0\.1:\d+/", board.url)
    assert address is not None

    def runs() -> list[str]:
        with urllib.request.urlopen(f"{address[0]}data/runs", timeout=60) as answer:
            found: list[str] = json.load(answer)
        return found

    until(lambda: any(run.endswith("validation") for run in runs()))
    assert any(run.startswith("Run 1") and run.endswith("train") for run in runs())
    board.close()


def test_on_a_phone_in_the_dark(garden: str, browser: Browser) -> None:
    context = browser.new_context(viewport=PHONE, color_scheme="dark")
    page = context.new_page()
    visit(page, garden)
    expect(page.locator(".figure").first).to_be_visible(timeout=LONG_MS)
    take_screenshot(page, "retraining-phone")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    assert page.locator(".stMain").evaluate("main => main.scrollWidth <= main.clientWidth + 1")
    plot = page.get_by_role("slider", name="Accuracy")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None and box["width"] > 300
    context.close()
