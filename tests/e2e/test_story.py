"""The whole story, as a person walks it in a browser: from images to a model that answers."""

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

from studio.collect.sample_data import drawings_offer
from tests.conftest import FLOWERS, until
from tests.e2e.conftest import choose_tab, go_to, look, serving, visit
from tests.e2e.labelling_grid import expect_count, press, shelf

pytestmark = pytest.mark.browser
LONG_MS = 120_000
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("스튜디오 home") / "data", STUDIO_WARM="yes") as (address, _process):
        yield address


@pytest.fixture
def context(context: BrowserContext) -> BrowserContext:
    context.grant_permissions(["camera"])
    return context


def the_images() -> tuple[dict[str, list[tuple[str, bytes]]], str]:
    """Return images by class, and the class of which one is kept for Predict."""
    if FLOWERS.is_dir():
        folders = sorted(path for path in FLOWERS.iterdir() if path.is_dir())
        return {
            folder.name: [(path.name, path.read_bytes()) for path in sorted(folder.glob("*.jpg"))[:61]]
            for folder in folders
        }, "sunflowers"
    made: dict[str, list[tuple[str, bytes]]] = {}
    for source in drawings_offer(np.random.default_rng(0)).sources:
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


def open_room(page: Page, name: str) -> None:
    go_to(page, name)
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def no_overflow(page: Page) -> bool:
    """Whether the page fits its width: nobody should scroll sideways on a phone."""
    fits: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    return fits


def test_from_photographs_to_an_answer(address: str, page: Page, browser: Browser) -> None:
    images, asked_about = the_images()
    asked_name, asked_data = images[asked_about].pop()
    total = sum(map(len, images.values()))
    name = "나의 *정원* [1]"

    visit(page, address)
    expect(page.get_by_role("heading", name="Retrain Studio")).to_be_visible()
    look(page, "home-empty")
    page.get_by_label("Project name").fill(name)
    page.get_by_role("button", name="Create project").click()

    expect(page.get_by_role("heading", name="Collect")).to_be_visible()
    expect(page.get_by_text(name)).to_be_visible()  # letter by letter, not as Markdown
    look(page, "collect-empty")
    page.get_by_label("Choose files").set_input_files(
        {"name": "내 꽃.zip", "mimeType": "application/zip", "buffer": zipped(images)}
    )
    expect(page.get_by_text(f"{total} added")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text("1 refused")).to_be_visible()
    look(page, "collect-done")

    page.get_by_role("button", name="Next: curate").click()
    expect(page.get_by_role("heading", name="Curate")).to_be_visible()
    first, second = list(images)[:2]
    count = len(images[first])
    expect_count(page, first, count)
    shelf(page, first).click()
    tiles = page.locator(".tile")
    expect(page.get_by_text(f"{count} images", exact=True)).to_be_visible()
    expect(tiles.first.locator("img")).to_be_visible()
    shown_px = tiles.first.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert shown_px > 0  # a thumbnail came, not only a place for one
    page.get_by_role("listbox", name="Images").focus()
    press(page, "Space", "ArrowRight", "Space")
    expect(page.get_by_text("2 selected", exact=True)).to_be_visible()
    look(page, "curate-selected")
    page.get_by_role("button", name="Label…").click()
    page.locator(".chooser").get_by_role("option", name=second).click()
    expect_count(page, first, count - 2)
    expect_count(page, second, len(images[second]) + 2)
    page.get_by_role("button", name="Undo").click()
    expect_count(page, first, count)
    tiles.nth(3).click()
    page.get_by_role("button", name="Reject", exact=True).click()
    expect_count(page, "Rejected", 1)
    press(page, "z")
    expect(page.locator("dialog.closer img")).to_be_visible()
    page.keyboard.press("Escape")

    open_room(page, "Retrain")
    page.get_by_text("Settings").click()
    page.get_by_label("Training steps").fill("6000")
    page.get_by_label("Training steps").press("Enter")
    page.get_by_role("button", name="Retrain", exact=True).click()
    expect(page.locator(".values tbody")).to_contain_text("%", timeout=LONG_MS)
    look(page, "retrain-live")
    here = page.url
    page.close()  # half way: the training goes on without anybody watching

    page = browser.new_page(viewport={"width": 1280, "height": 900})
    visit(page, here)
    figure = page.locator(".figure").first
    expect(figure).to_contain_text("Test accuracy", timeout=LONG_MS)
    accuracy = float(re.findall(r"([\d.]+)%", figure.inner_text())[0])
    assert accuracy > 70
    expect(page.get_by_text("Confusion matrix")).to_be_visible()
    look(page, "retrain-done")

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
    look(page, "predict")
    choose_tab(page, "Camera")
    page.get_by_text("Turn the camera on").click()
    page.wait_for_function("document.querySelector('video')?.readyState >= 2")
    page.get_by_role("button", name="Take photo").click()
    expect(page.get_by_test_id("stProgress").nth(5)).to_be_attached()
    page.close()


def test_drawings_stop_and_phone(address: str, browser: Browser) -> None:
    context = browser.new_context(viewport=PHONE, color_scheme="dark")  # type: ignore[arg-type]
    page = context.new_page()
    visit(page, address)
    page.get_by_role("button", name="Make drawings").click()
    expect(page.get_by_text("160 added")).to_be_visible(timeout=LONG_MS)
    look(page, "phone-collect")
    assert no_overflow(page)
    page.get_by_role("button", name="Next: curate").click()
    expect(page.locator(".tile img").first).to_be_visible()
    look(page, "phone-curate")
    assert no_overflow(page)
    page.get_by_role("button", name="Next: retrain").click()
    page.get_by_text("Settings").click()
    page.get_by_label("Training steps").fill("100000")
    page.get_by_label("Training steps").press("Enter")
    page.get_by_role("button", name="Retrain", exact=True).click()
    expect(page.locator(".values tbody")).to_contain_text("%", timeout=LONG_MS)
    look(page, "phone-retrain")
    assert no_overflow(page)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Continue")).to_be_visible(timeout=LONG_MS)
    visit(page, address)
    expect(page.get_by_text("Drawings", exact=True).first).to_be_visible()
    look(page, "phone-home")
    assert no_overflow(page)
    context.close()


def test_a_place_on_this_machine_and_a_place_that_is_not(address: str, page: Page, tmp_path: Path) -> None:
    for name in ("개나리", "진달래"):
        (tmp_path / "내 사진" / name).mkdir(parents=True)
        for number in range(3):
            colour = (40 * number, 90, 200 if name == "개나리" else 20)
            Image.new("RGB", (64, 48), colour).save(tmp_path / "내 사진" / name / f"{number}.png")
    visit(page, address)
    page.get_by_label("Project name").fill("여기")
    page.get_by_role("button", name="Create project").click()
    choose_tab(page, "On this machine")
    place = page.get_by_label("Folder or archive, as this machine names it")
    place.fill(str(tmp_path / "없는 곳"))
    page.get_by_role("button", name="Bring it in").click()
    expect(page.get_by_text("is not there. Check the spelling")).to_be_visible()
    place.fill(f'"{tmp_path / "내 사진"}"')  # as Windows' "Copy as path" gives it
    page.get_by_role("button", name="Bring it in").click()
    expect(page.get_by_text("6 added")).to_be_visible(timeout=LONG_MS)
    open_room(page, "Curate")
    expect_count(page, "진달래", 3)
    open_room(page, "Predict")
    expect(page.get_by_text("There is no trained model in this project yet")).to_be_visible()


def test_without_internet_the_flowers_say_what_to_do(address: str, page: Page) -> None:
    try:
        socket.getaddrinfo("download.tensorflow.org", 80)
        pytest.skip("there is internet here: the download would begin")
    except OSError:
        pass
    visit(page, address)
    page.get_by_role("button", name="Download the flowers").click()
    expect(page.get_by_role("button", name="Continue")).to_be_visible(timeout=LONG_MS)
    look(page, "no-internet")


def test_a_strange_address_is_answered_in_words(address: str, page: Page) -> None:
    visit(page, f"{address}/curate?project=nothing")
    expect(page.get_by_text("There is no project of that name")).to_be_visible()
    visit(page, f"{address}/retrain")
    expect(page.get_by_text("Choose one at Home")).to_be_visible()


def test_other_names_for_this_machine_are_not_answered(address: str) -> None:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(address, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 400


def test_two_servers_on_one_folder_share_it(tmp_path: Path, page: Page) -> None:
    with serving(tmp_path / "shared") as (one, _first), serving(tmp_path / "shared") as (two, _second):
        visit(page, one)
        page.get_by_label("Project name").fill("Shared")
        page.get_by_role("button", name="Create project").click()
        expect(page.get_by_role("heading", name="Collect")).to_be_visible()
        visit(page, two)
        expect(page.get_by_text("Shared", exact=True)).to_be_visible()


def test_open_to_others_asks_for_the_secret(tmp_path: Path, page: Page) -> None:
    with serving(tmp_path / "s", STUDIO_SECRET="문 열려라") as (address, _process):
        page.goto(address)
        expect(page.get_by_label("The secret")).to_be_visible()
        page.get_by_label("The secret").fill("문 열려라")
        page.get_by_role("button", name="Enter").click()
        expect(page.get_by_role("heading", name="Retrain Studio")).to_be_visible()
        assert "secret" not in page.url


def test_a_killed_server_leaves_no_processes(tmp_path: Path) -> None:
    with serving(tmp_path / "k", STUDIO_WARM="yes") as (_address, server):
        until(lambda: len(server.children(recursive=True)) >= 2)
        family = server.children(recursive=True)
        server.kill()
        _gone, alive = psutil.wait_procs(family, timeout=60)
        assert alive == []
