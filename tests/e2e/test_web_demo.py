"""The web demo in a real browser: from a static host and from a file, on photographs, camera, odd files."""

import base64
import functools
import http.server
import json
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import PIL
import pytest
from PIL import Image, ImageCms, ImageDraw
from playwright.sync_api import Browser, BrowserContext, Page, expect

from studio.predict.model import Model, Prediction
from studio.progress import Silent
from studio.retrain.measure_confidence import measure_confidence
from studio.share.exports.export_format import ExportContext
from studio.share.exports.formats import EXPORT_FORMATS
from studio.share.web_demo.demo_page import Demo, PageUrls, page_html
from tests.e2e.conftest import take_screenshot
from tests.retrain.material import FLOWERS, ROOM, draw, needs_flowers, snapshot_of, train_run
from tests.share.browser_runtime import pack_into

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}
NEAR = 1e-4
"""The browser rounds otherwise than this machine's processor, in the sixth digit."""


@cache
def exported() -> tuple[Path, Path]:
    """Return a run's folder, on photographs where there are any, and its export."""
    images = ROOM / "사진 for demo"
    if FLOWERS.is_dir():
        for folder in FLOWERS.iterdir():
            (images / f"{folder.name} 꽃").mkdir(parents=True)
            for path in sorted(folder.glob("*.jpg"))[:30]:
                (images / f"{folder.name} 꽃" / path.name).symlink_to(path)
    else:
        draw(images)
    run_dir = train_run(snapshot_of(images), ROOM / "runs" / "demo run 꽃").run_dir
    measure_confidence(run_dir, ROOM / "bottlenecks", threads=2, progress=Silent())
    output = ROOM / "내 demo"
    output.mkdir()
    pack_into(ROOM / "downloads")
    EXPORT_FORMATS["web"].write(run_dir, output, ExportContext("꽃 flowers", ROOM / "downloads", Silent()))
    return run_dir, output


class Host(http.server.SimpleHTTPRequestHandler):
    """A static host; and for a page that asks a server, that server: `posted` are the pages it answers."""

    protocol_version = "HTTP/1.1"
    pages: dict[str, str]
    received: list[tuple[str, bytes]]

    def do_GET(self) -> None:
        if (page := self.pages.get(self.path)) is None:
            super().do_GET()
        else:
            self.reply(200, page.encode(), "text/html")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, body))
        if self.path == "/feedback":
            self.reply(200, b"{}")
        elif len(self.received) > 1:
            self.reply(429, json.dumps({"error": "Too many at once."}).encode())
        else:
            model = Model.open(exported()[0])
            found = model.probabilities(model.preprocessing.read(body, "posted"))
            self.reply(200, json.dumps({"probabilities": found.tolist(), "strangeness": None}).encode())

    def reply(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """A static host with the export's folder."""
    Host.pages, Host.received = {}, []
    handler = functools.partial(Host, directory=str(exported()[1] / "site"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, permissions=["camera"])
    context.set_default_timeout(30_000)
    yield context
    context.close()


def opened(context: BrowserContext, address: str, state: str = "here") -> tuple[Page, list[str]]:
    """Open a page once it can answer; the list is of all that it asks for from then on."""
    page = context.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    page.wait_for_selector(f"body[data-state={state}]", timeout=60_000)
    return page, requests


def answers(page: Page, images: list[Path]) -> dict[str, dict[str, Any]]:
    """Give the page images; return by name what it says: its verdict, and the probability of each class."""
    page.locator("#files").set_input_files(images)
    expect(page.locator("article.card")).to_have_count(len(images), timeout=60_000)
    for button in page.get_by_role("button", name="All classes").all():
        button.click()
    read: dict[str, dict[str, Any]] = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("article.card")].map((card) => [
            card.dataset.name,
            { sure: card.querySelector(".answer").dataset.sure,
              scores: Object.fromEntries([...card.querySelectorAll(".bars li")].map(
                  ({ dataset }) => [dataset.label, Number(dataset.probability)])) },
        ]))"""
    )
    return read


def same(found: dict[str, Any], wanted: Prediction) -> float:
    """Check that the page says what the run does; return how far the probabilities are apart at most."""
    scores = {each.label: each.score for each in wanted.scores}
    assert found["scores"].keys() == scores.keys()
    assert next(iter(found["scores"])) == wanted.scores[0].label
    assert (
        found["sure"]
        == {None: "yes", "low_confidence": "no", "out_of_distribution": "strange"}[wanted.abstention]
    )
    apart: float = max(abs(found["scores"][label] - scores[label]) for label in scores)
    return apart


@needs_flowers
@pytest.mark.parametrize("shape", ["site", "demo.html"])
def test_twenty_photographs_are_answered_as_the_run_answers(
    host: str, context: BrowserContext, shape: str
) -> None:
    run_dir, output = exported()
    page, requests = opened(context, f"{host}/" if shape == "site" else (output / shape).as_uri())
    if shape == "site":
        assert {urlsplit(address).netloc for address in requests} == {urlsplit(host).netloc}
    else:
        assert [address for address in requests if not address.startswith(("data:", "blob:"))] == [page.url]
    before = len(requests)
    images = [path for folder in sorted(FLOWERS.iterdir()) for path in sorted(folder.glob("*.jpg"))[40:44]]
    assert len(images) == 20
    found = answers(page, images)
    model = Model.open(run_dir)
    apart = [same(found[path.name], model.predict_file(path, path.name)) for path in images]
    assert max(apart) < NEAR
    print(f"{shape}: {page.locator('#speed').inner_text()} Largest difference {max(apart):.1e}")
    # The images went nowhere: what the page asked for since are they themselves, out of its own memory.
    assert all(address.startswith("blob:") for address in requests[before:])
    take_screenshot(page, f"web-demo-{shape}")


def test_the_page_may_ask_nobody_else(host: str, context: BrowserContext, tmp_path: Path) -> None:
    elsewhere = """async (address) => {
        try { await fetch(address, { method: "POST", body: "an image" }); return "sent"; }
        catch { return "held"; }
    }"""
    site, _asked = opened(context, f"{host}/")
    assert site.evaluate(elsewhere, host.replace("127.0.0.1", "localhost")) == "held"
    whole, _asked = opened(context, (exported()[1] / "demo.html").as_uri())
    assert whole.evaluate(elsewhere, host) == "held"
    assert Host.received == []


def test_the_resize_is_pillows_to_the_bit(host: str, context: BrowserContext) -> None:
    page, _asked = opened(context, f"{host}/")
    random = np.random.default_rng(0)
    sizes = [(1, 1, 224, 224), (224, 224, 224, 224), (333, 500, 224, 224), (500, 333, 224, 224)]
    sizes += [(223, 225, 224, 224), (4, 900, 128, 96), (900, 4, 128, 96), (1000, 700, 224, 224)]
    sizes += [tuple(random.integers(1, 300, 4).tolist()) for _ in range(30)]
    page.evaluate("async () => { self.demo = await import('demo/resize.js'); }")
    pillow = int(PIL.__version__.split(".")[0])
    for number, (width, height, to_width, to_height) in enumerate(sizes):
        pixels = random.integers(0, 256, (height, width, 4), np.uint8)
        if number % 2:  # the hardest for rounding: nothing but the ends of the range
            pixels = (pixels > 127).astype(np.uint8) * 255
        # A generator of the same numbers in the page would be another thing to trust: they are sent.
        found = page.evaluate(
            """([width, height, toWidth, toHeight, pillow, text, strip]) => {
                const rgba = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
                const resize = new demo.Resize(width, height, toWidth, toHeight, pillow);
                for (let from = 0; from < rgba.length; from += strip * width * 4)
                    resize.addRows(rgba.subarray(from, from + strip * width * 4));
                return btoa(Array.from(resize.pixels(), (value) => String.fromCharCode(value)).join(""));
            }""",
            [width, height, to_width, to_height, pillow, _base64(pixels.tobytes()), 1 + number % 97],
        )
        wanted = Image.fromarray(pixels[..., :3]).resize((to_width, to_height), Image.Resampling.BILINEAR)
        assert found == _base64(wanted.tobytes()), (width, height, to_width, to_height)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_unusual_files_are_predicted_as_in_the_studio_or_refused(
    host: str, context: BrowserContext, tmp_path: Path
) -> None:
    image = Image.new("RGB", (640, 300), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((20, 20, 200, 200), fill="orange")
    pen.rectangle((400, 100, 639, 299), fill="navy")
    made = []
    for turned in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turned
        image.save(tmp_path / f"돌린 {turned}.jpg", exif=exif, quality=95)
        made.append(tmp_path / f"돌린 {turned}.jpg")
    clear = image.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(tmp_path / "clear.png")
    image.convert("L").save(tmp_path / "grey.png")
    image.convert("P").save(tmp_path / "palette.gif")
    image.resize((900, 5000)).save(tmp_path / "tall.png")
    Image.new("RGB", (1, 1), "red").save(tmp_path / "dot.bmp")
    image.save(tmp_path / "profile.png", icc_profile=_wide_profile())
    others = ("clear.png", "grey.png", "palette.gif", "tall.png", "dot.bmp", "profile.png")
    made += [tmp_path / name for name in others]
    page, _asked = opened(context, f"{host}/")
    found = answers(page, made)
    model = Model.open(exported()[0])
    apart = {path.name: same(found[path.name], model.predict_file(path, path.name)) for path in made}
    assert max(apart.values()) < 2e-3, apart  # transparency is mixed in other roundings
    assert max(apart[path.name] for path in made if path.name != "clear.png") < NEAR, apart
    (tmp_path / "broken.jpg").write_bytes(made[0].read_bytes()[:200])
    page.locator("#files").set_input_files(tmp_path / "broken.jpg")
    expect(page.locator("#answers .fault")).to_have_text(
        "broken.jpg cannot be opened by this browser. Try a JPEG, PNG or WebP file."
    )


def _wide_profile() -> bytes:
    """Return a colour profile that a browser would follow: sRGB's with two of its colours changed about."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"tXYZ").replace(b"gXYZ", b"rXYZ").replace(b"tXYZ", b"gXYZ")


def test_the_camera_answers_live_on_a_phone(host: str, browser: Browser) -> None:
    context = browser.new_context(viewport=PHONE, color_scheme="dark", permissions=["camera"])  # type: ignore[arg-type]
    page, _asked = opened(context, f"{host}/")
    on = page.get_by_role("button", name="Use the camera")
    on.focus()
    page.keyboard.press("Enter")
    live = page.get_by_role("region", name="Camera")
    expect(live.locator(".bars li")).not_to_have_count(0)
    page.wait_for_function(r"() => /over (\d+)/.exec(document.querySelector('#speed').textContent)?.[1] >= 5")
    expect(page.locator("#said")).not_to_be_empty()  # read out once it has settled
    keep = page.get_by_role("button", name="Keep this image")
    expect(keep).to_be_focused()
    page.keyboard.press("Enter")
    card = page.locator("article.card")
    expect(card).to_have_count(1)
    assert card.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") >= 320
    take_screenshot(page, "web-demo-phone-camera")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    track = page.locator("video").evaluate_handle("video => video.srcObject.getTracks()[0]")
    page.get_by_role("button", name="Turn the camera off").click()
    assert track.evaluate("track => track.readyState") == "ended"
    expect(on).to_be_focused()
    expect(live).not_to_be_visible()
    context.close()


def test_where_the_model_cannot_run_a_server_answers_and_hears_what_is_wrong(
    host: str, context: BrowserContext, tmp_path: Path
) -> None:
    run_dir, _output = exported()
    demo = Demo.from_run(run_dir, "꽃 flowers")
    places = PageUrls(
        model="/nothing-there.tflite", server="/answer", feedback="/feedback", asks_for_image=True
    )
    Host.pages["/asking"] = page_html(demo, places)
    Host.received.clear()
    page, _asked = opened(context, f"{host}/asking", "server")
    expect(page.get_by_text("your images are sent there")).to_be_visible()
    Image.effect_noise((300, 200), 80).convert("RGB").save(tmp_path / "noise.png")
    found = answers(page, [tmp_path / "noise.png"])
    model = Model.open(run_dir)
    wanted = model.predict_file(tmp_path / "noise.png", "noise")
    assert next(iter(found["noise.png"]["scores"])) == wanted.scores[0].label
    assert Host.received == [("/answer", (tmp_path / "noise.png").read_bytes())]
    page.get_by_text("Is this wrong?").click()
    page.get_by_label("Correct class").select_option(demo.labels[1])
    page.get_by_label("Send the image too").check()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Thank you.")).to_be_visible()
    path, body = Host.received[-1]
    assert path == "/feedback"
    assert f'name="right"\r\n\r\n{demo.labels[1]}\r\n'.encode() in body
    assert f'name="said"\r\n\r\n{wanted.scores[0].label}\r\n'.encode() in body
    assert (tmp_path / "noise.png").read_bytes() in body
    page.locator("#files").set_input_files(tmp_path / "noise.png")
    expect(page.locator("#answers .fault")).to_have_text(
        "noise.png could not be classified: Too many at once."
    )
    take_screenshot(page, "web-demo-server")


def test_a_browser_that_can_do_neither_gets_a_message(host: str, context: BrowserContext) -> None:
    demo = Demo.from_run(exported()[0], "꽃 flowers")
    Host.pages["/nothing"] = page_html(demo, PageUrls(model="/nothing-there.tflite"))
    page, _asked = opened(context, f"{host}/nothing", "fault")
    expect(page.locator("#status")).to_contain_text("The model cannot run in this browser")
    expect(page.get_by_role("button", name="Choose images")).not_to_be_visible()
