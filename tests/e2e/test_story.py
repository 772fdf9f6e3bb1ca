"""All pages in a browser, from images to a model and its predictions."""

import io
import re
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, expect

from studio.collect.sample_data import sample_shapes
from tests.conftest import FLOWERS, until
from tests.e2e.conftest import choose_tab, go_to, run_server, take_screenshot, visit
from tests.e2e.labelling_grid import expect_count, press, sidebar_entry

pytestmark = pytest.mark.browser
LONG_MS = 120_000
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_server(tmp_path_factory.mktemp("스튜디오 home") / "data", STUDIO_WARM="yes") as (
        address,
        _process,
    ):
        yield address


@pytest.fixture
def context(context: BrowserContext) -> BrowserContext:
    context.grant_permissions(["camera"])
    return context


def story_images() -> tuple[dict[str, list[tuple[str, bytes]]], str]:
    """Return images by class, and the class of which one image is kept for Predict."""
    if FLOWERS.is_dir():
        folders = sorted(path for path in FLOWERS.iterdir() if path.is_dir())
        return {
            folder.name: [(path.name, path.read_bytes()) for path in sorted(folder.glob("*.jpg"))[:61]]
            for folder in folders
        }, "sunflowers"
    made: dict[str, list[tuple[str, bytes]]] = {}
    for source in sample_shapes(np.random.default_rng(0)).sources:
        made.setdefault(source.class_name or "", []).append((Path(source.name).name, source.read()))
    return made, sorted(made)[0]


def zipped(images: dict[str, list[tuple[str, bytes]]]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, members in images.items():
            for member, data in members:
                archive.writestr(f"사진/{name}/{member}", data)
        archive.writestr("사진/README.pdf", b"%PDF-1.4 not an image")
    return file.getvalue()


def open_page(page: Page, name: str) -> None:
    go_to(page, name)
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def fits_width(page: Page) -> bool:
    """Return whether the page fits the width of the window."""
    fits: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    return fits


def test_from_images_to_a_prediction(address: str, page: Page, browser: Browser) -> None:
    images, asked_about = story_images()
    asked_name, asked_data = images[asked_about].pop()
    total = sum(map(len, images.values()))
    name = "나의 *정원* [1]"

    visit(page, address)
    expect(page.get_by_role("heading", name="Retrain Studio")).to_be_visible()
    take_screenshot(page, "home-empty")
    page.get_by_label("Project name").fill(name)
    page.get_by_role("button", name="Create project").click()

    expect(page.get_by_role("heading", name="Collect")).to_be_visible()
    expect(page.get_by_text(name)).to_be_visible()  # escaped, not as Markdown
    take_screenshot(page, "collect-empty")
    page.get_by_label("Choose files").set_input_files(
        {"name": "내 꽃.zip", "mimeType": "application/zip", "buffer": zipped(images)}
    )
    expect(page.get_by_text(f"{total} added")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text("1 skipped")).to_be_visible()
    take_screenshot(page, "collect-done")

    page.get_by_role("button", name="Next: curate").click()
    expect(page.get_by_role("heading", name="Curate")).to_be_visible()
    first, second = list(images)[:2]
    count = len(images[first])
    expect_count(page, first, count)
    sidebar_entry(page, first).click()
    tiles = page.locator(".tile")
    expect(page.get_by_text(f"{count} images", exact=True)).to_be_visible()
    expect(tiles.first.locator("img")).to_be_visible()
    shown_px = tiles.first.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert shown_px > 0  # the thumbnail has been loaded
    page.get_by_role("listbox", name="Images").focus()
    press(page, "Space", "ArrowRight", "Space")
    expect(page.get_by_text("2 selected", exact=True)).to_be_visible()
    take_screenshot(page, "curate-selected")
    page.get_by_role("button", name="Label…").click()
    page.locator(".class-picker").get_by_role("option", name=second).click()
    expect_count(page, first, count - 2)
    expect_count(page, second, len(images[second]) + 2)
    page.get_by_role("button", name="Undo").click()
    expect_count(page, first, count)
    tiles.nth(3).click()
    page.get_by_role("button", name="Reject", exact=True).click()
    expect_count(page, "Rejected", 1)
    press(page, "z")
    expect(page.locator("dialog.viewer img")).to_be_visible()
    page.keyboard.press("Escape")

    open_page(page, "Retrain")
    page.get_by_text("Settings").click()
    page.get_by_label("Training steps", exact=True).fill("6000")
    page.get_by_label("Training steps", exact=True).press("Enter")
    page.get_by_role("button", name="Retrain", exact=True).click()
    expect(page.locator(".values tbody")).to_contain_text("%", timeout=LONG_MS)
    take_screenshot(page, "retrain-live")
    here = page.url
    page.close()  # training goes on without a page

    page = browser.new_page(viewport={"width": 1280, "height": 900})
    visit(page, here)
    test_accuracy = page.locator(".figure").first
    expect(test_accuracy).to_contain_text("Test accuracy", timeout=LONG_MS)
    accuracy = float(re.findall(r"([\d.]+)%", test_accuracy.inner_text())[0])
    assert accuracy > 70
    expect(page.get_by_text("Confusion matrix")).to_be_visible()
    take_screenshot(page, "retrain-done")

    page.get_by_role("button", name="Next: predict").click()
    expect(page.get_by_role("heading", name="Predict", exact=True)).to_be_visible()
    page.locator('input[type="file"]').first.set_input_files(
        [
            FilePayload(name=asked_name, mimeType="image/jpeg", buffer=asked_data),
            FilePayload(name="나쁜.jpg", mimeType="image/jpeg", buffer=b"<svg></svg>"),
        ]
    )
    expect(page.get_by_role("heading", name=asked_about)).to_be_visible()
    expect(page.get_by_text("SVG")).to_be_visible()
    take_screenshot(page, "predict")
    choose_tab(page, "Camera")
    page.get_by_text("Turn the camera on").click()
    page.wait_for_function("document.querySelector('video')?.readyState >= 2")
    page.get_by_role("button", name="Take photo").click()
    expect(page.get_by_test_id("stProgress").nth(5)).to_be_attached()
    page.close()


def test_sample_shapes_and_stop_on_a_phone(address: str, browser: Browser) -> None:
    context = browser.new_context(viewport=PHONE, color_scheme="dark")  # type: ignore[arg-type]
    page = context.new_page()
    visit(page, address)
    page.get_by_role("button", name="Create sample shapes").click()
    expect(page.get_by_text("160 added")).to_be_visible(timeout=LONG_MS)
    take_screenshot(page, "phone-collect")
    assert fits_width(page)
    page.get_by_role("button", name="Next: curate").click()
    expect(page.locator(".tile img").first).to_be_visible()
    take_screenshot(page, "phone-curate")
    assert fits_width(page)
    page.get_by_role("button", name="Next: retrain").click()
    page.get_by_text("Settings").click()
    page.get_by_label("Training steps", exact=True).fill("100000")
    page.get_by_label("Training steps", exact=True).press("Enter")
    page.get_by_role("button", name="Retrain", exact=True).click()
    expect(page.locator(".values tbody")).to_contain_text("%", timeout=LONG_MS)
    take_screenshot(page, "phone-retrain")
    assert fits_width(page)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Continue")).to_be_visible(timeout=LONG_MS)
    visit(page, address)
    expect(page.get_by_text("Sample shapes", exact=True).first).to_be_visible()
    take_screenshot(page, "phone-home")
    assert fits_width(page)
    context.close()


def test_import_of_a_path_and_of_a_missing_path(address: str, page: Page, tmp_path: Path) -> None:
    for name in ("개나리", "진달래"):
        (tmp_path / "내 사진" / name).mkdir(parents=True)
        for number in range(3):
            colour = (40 * number, 90, 200 if name == "개나리" else 20)
            Image.new("RGB", (64, 48), colour).save(tmp_path / "내 사진" / name / f"{number}.png")
    visit(page, address)
    page.get_by_label("Project name").fill("여기")
    page.get_by_role("button", name="Create project").click()
    choose_tab(page, "On this computer")
    place = page.get_by_label("Path of a folder or archive on this computer")
    place.fill(str(tmp_path / "없는 곳"))
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("does not exist. Check the spelling")).to_be_visible()
    place.fill(f'"{tmp_path / "내 사진"}"')  # as Windows' "Copy as path" gives it
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("6 added")).to_be_visible(timeout=LONG_MS)
    open_page(page, "Curate")
    expect_count(page, "진달래", 3)
    open_page(page, "Predict")
    expect(page.get_by_text("This project has no trained model")).to_be_visible()


def test_sample_images_without_internet_can_be_continued(address: str, page: Page) -> None:
    try:
        socket.getaddrinfo("download.tensorflow.org", 80)
        pytest.skip("there is internet here: the download would begin")
    except OSError:
        pass
    visit(page, address)
    page.get_by_role("button", name="Download flower images").click()
    expect(page.get_by_role("button", name="Continue")).to_be_visible(timeout=LONG_MS)
    take_screenshot(page, "no-internet")


def test_a_missing_project_in_the_url(address: str, page: Page) -> None:
    visit(page, f"{address}/curate?project=nothing")
    expect(page.get_by_text("There is no project of that name")).to_be_visible()
    visit(page, f"{address}/retrain")
    expect(page.get_by_text("Open or create a project on Home")).to_be_visible()


def test_other_host_names_are_not_answered(address: str) -> None:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(address, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 400


def test_two_servers_share_one_data_folder(tmp_path: Path, page: Page) -> None:
    with run_server(tmp_path / "shared") as (one, _first), run_server(tmp_path / "shared") as (two, _second):
        visit(page, one)
        page.get_by_label("Project name").fill("Shared")
        page.get_by_role("button", name="Create project").click()
        expect(page.get_by_role("heading", name="Collect")).to_be_visible()
        visit(page, two)
        expect(page.get_by_text("Shared", exact=True)).to_be_visible()


def test_a_shared_secret_is_asked_for(tmp_path: Path, page: Page) -> None:
    with run_server(tmp_path / "s", STUDIO_SECRET="문 열려라") as (address, _process):
        page.goto(address)
        expect(page.get_by_label("The secret")).to_be_visible()
        page.get_by_label("The secret").fill("문 열려라")
        page.get_by_role("button", name="Enter").click()
        expect(page.get_by_role("heading", name="Retrain Studio")).to_be_visible()
        assert "secret" not in page.url


def test_a_killed_server_leaves_no_processes(tmp_path: Path) -> None:
    with run_server(tmp_path / "k", STUDIO_WARM="yes") as (_address, server):
        until(lambda: len(server.children(recursive=True)) >= 2)
        family = server.children(recursive=True)
        server.kill()
        _gone, alive = psutil.wait_procs(family, timeout=60)
        assert alive == []
