"""Uploads of files and folders from a browser: complete, once each, resumed after a restart of the server."""

import io
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.conftest import until
from tests.e2e.conftest import ROOT, go_to, run_server, take_screenshot, visit
from tests.e2e.labelling_grid import expect_count

pytestmark = pytest.mark.browser
LONG_MS = 60_000
PHONE = {"width": 390, "height": 844}


def begin(page: Page, address: str, name: str) -> None:
    visit(page, address)
    page.get_by_label("Project name").fill(name)
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_text("Drop images, folders or archives here")).to_be_visible(timeout=LONG_MS)


def choose_class(page: Page, name: str) -> None:
    box = page.get_by_role("combobox", name="Class for these images (optional)")
    box.fill(name)
    box.press("Enter")


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (60, 80, 3), np.uint8)
    Image.fromarray(pixels).save(path, quality=60)


def image(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (60, 80, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def slow_down(page: Page, bytes_per_s: int) -> None:
    """Limit the page's upload rate, so that an upload takes a while."""
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    limits = {"offline": False, "latency": 20, "downloadThroughput": -1, "uploadThroughput": bytes_per_s}
    line.send("Network.emulateNetworkConditions", limits)


def received_bytes(home: Path) -> int:
    """Return the size of unfinished uploads in bytes."""
    return sum(path.stat().st_size for path in (home / "uploads" / "arriving").rglob("*") if path.is_file())


def test_a_folder_of_class_folders(served: tuple[str, Path], page: Page, tmp_path: Path) -> None:
    address, home = served
    folder = tmp_path / "나의 꽃들"
    for number in range(60):
        draw(folder / ("개나리" if number % 2 else "진달래 #1") / f"{number}.jpg", number)
    draw(folder / "mixed" / ".hidden.jpg", 99)
    (folder / "mixed" / "note.txt").write_text("no image")
    begin(page, address, "폴더")
    take_screenshot(page, "uploads-empty")
    page.get_by_label("Choose a folder").set_input_files(folder)
    expect(page.get_by_text("Files uploaded: 61,")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text("60 added")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text("1 skipped")).to_be_visible()
    take_screenshot(page, "uploads-folder")
    go_to(page, "Curate")
    expect_count(page, "개나리", 30)
    expect_count(page, "진달래 #1", 30)
    assert list((home / "uploads" / "arriving").iterdir()) == []


def test_files_and_archives_into_a_class(served: tuple[str, Path], page: Page) -> None:
    address, _home = served
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for number in range(3):
            file.writestr(f"해바라기/{number}.png", image(number + 10))
    begin(page, address, "파일")
    choose_class(page, "장미")
    expect(page.get_by_text("Images outside folders get the class 장미")).to_be_visible()
    page.get_by_label("Choose files").set_input_files(
        [
            FilePayload(name="a <b> #1.png", mimeType="image/png", buffer=image(1)),
            FilePayload(name="b.png", mimeType="image/png", buffer=image(2)),
            FilePayload(name="꽃.zip", mimeType="application/zip", buffer=archive.getvalue()),
        ]
    )
    expect(page.get_by_text("5 added")).to_be_visible(timeout=LONG_MS)
    go_to(page, "Curate")
    expect_count(page, "장미", 2)
    expect_count(page, "해바라기", 3)


def test_a_dropped_folder_is_read(served: tuple[str, Path], page: Page, tmp_path: Path) -> None:
    address, _home = served
    folder = tmp_path / "꽃"
    for number in range(230):  # a browser gives a hundred entries at a time
        draw(folder / "큰 반" / f"{number}.jpg", number)
    draw(folder / "반" / "깊은 곳" / "one.jpg", 1000)
    (folder / "반" / ".DS_Store").write_bytes(b"litter")
    begin(page, address, "놓기")
    zone = page.get_by_text("Drop images, folders or archives here").bounding_box()
    assert zone is not None
    hand = page.context.new_cdp_session(page)
    what = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        event = {"type": kind, "x": zone["x"] + 9, "y": zone["y"] + 9, "data": what}
        hand.send("Input.dispatchDragEvent", event)
    expect(page.get_by_text("Files uploaded: 231,")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text("231 added")).to_be_visible(timeout=LONG_MS)
    go_to(page, "Curate")
    expect_count(page, "큰 반", 230)


def test_an_upload_goes_on_while_another_page_is_open_and_can_be_cancelled(
    served: tuple[str, Path], browser: Browser, tmp_path: Path
) -> None:
    address, home = served
    large = tmp_path / "큰 것.zip"
    with large.open("wb") as file:
        file.truncate(64_000_000)
    context = browser.new_context(viewport=PHONE, color_scheme="dark")  # type: ignore[arg-type]
    page = context.new_page()
    begin(page, address, "전화")
    slow_down(page, 4_000_000)
    page.get_by_label("Choose files").set_input_files(large)
    bar = page.get_by_role("progressbar", name="Upload progress")
    expect(bar).to_be_visible()
    page.wait_for_function("bar => bar.value > 0.1", arg=bar.element_handle())
    # Whether the page reruns or not, the upload goes on.
    page.get_by_text("On this computer", exact=True).click()
    page.get_by_text("Files and folders").click()
    expect(page.get_by_text("left", exact=False).first).to_be_visible()
    take_screenshot(page, "phone-uploads-sending")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    before = received_bytes(home)
    assert before > 0
    page.get_by_role("link", name="Home", exact=True).dispatch_event("click")
    expect(page.get_by_role("heading", name="Retrain Studio")).to_be_visible()
    until(lambda: received_bytes(home) > before)
    page.go_back()
    expect(bar).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Upload cancelled. No image was added.")).to_be_visible()
    expect(page.get_by_text("Drop images, folders or archives here")).to_be_visible()
    take_screenshot(page, "phone-uploads-cancelled")
    context.close()


def test_an_upload_resumes_after_a_restart_of_the_server(page: Page, tmp_path: Path) -> None:
    archive = tmp_path / "꽃.zip"
    noise = np.random.default_rng(0)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("장미/1.png", image(1))
        file.writestr("장미/2.png", image(2))
        file.writestr("no image.jpg", noise.bytes(40_000_000))
    home = tmp_path / "data"
    with run_server(home) as (address, server):
        command = server.cmdline()
        environment = server.environ()
        begin(page, address, "돌아옴")
        slow_down(page, 10_000_000)
        page.get_by_label("Choose files").set_input_files(archive)
        until(lambda: (home / "uploads" / "arriving").is_dir() and received_bytes(home) > 8_000_000)
        server.kill()
        arrived = received_bytes(home)
        assert 0 < arrived < archive.stat().st_size
        expect(page.get_by_text("The studio does not answer. Trying again")).to_be_visible(timeout=LONG_MS)
        take_screenshot(page, "uploads-server-away")
        again = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        try:
            expect(page.get_by_text("Files uploaded: 1,")).to_be_visible(timeout=LONG_MS)
            expect(page.get_by_text("2 added")).to_be_visible(timeout=LONG_MS)
        finally:
            family = psutil.Process(again.pid).children(recursive=True)
            again.terminate()
            again.wait(60)
            assert psutil.wait_procs(family, timeout=60)[1] == []


def test_leaving_during_an_upload_asks_for_confirmation(
    served: tuple[str, Path], page: Page, tmp_path: Path
) -> None:
    address, _home = served
    large = tmp_path / "large.zip"
    with large.open("wb") as file:
        file.truncate(50_000_000)
    begin(page, address, "떠나기")
    slow_down(page, 1_000_000)
    page.get_by_label("Choose files").set_input_files(large)
    cancel = page.get_by_role("button", name="Cancel")
    cancel.hover()  # browsers ask only where a person has done something
    page.mouse.down()
    page.mouse.move(5, 5)
    page.mouse.up()
    with page.expect_event("dialog") as dialog_event:
        page.close(run_before_unload=True)
    assert dialog_event.value.type == "beforeunload"
    dialog_event.value.dismiss()
    cancel.click()
    expect(page.get_by_text("Upload cancelled. No image was added.")).to_be_visible()
