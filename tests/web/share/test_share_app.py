"""The sharing application: page, model, predictions, feedback, and a clean error for bad requests."""

import asyncio
import csv
import io
import json
import re
import shutil
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256

import numpy as np
import pytest
import uvicorn
from PIL import ExifTags, Image
from starlette.types import Receive, Scope, Send

from db.engine import Database
from db.migrate import migrate
from studio.collect.importers import ingest_path
from studio.collect.ingest import ImportContext
from studio.curate import filters
from studio.curate.items import grid_items
from studio.curate.overview import overview
from studio.curate.paging import next_page
from studio.images.provenance import VISITOR, provenance_of
from studio.images.store import ImageStore
from studio.predict.model import Model
from studio.progress import Silent
from studio.share import feedback, links
from studio.share.examples import EXAMPLES_PER_CLASS
from studio.share.web_demo.runtime import COMPAT, VERSION, ensure_runtime
from studio.web.middleware import ConcurrencyLimit, MemoryBudget, Overloaded, RateLimiter
from studio.web.share import request_body
from studio.web.share.app import ShareMiddleware, share_app
from studio.web.state import now
from tests.conftest import NOW
from tests.retrain.material import ROOM
from tests.share.browser_runtime import pack_into
from tests.share.links_material import Studio, in_a_day, studio


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    home = tmp_path_factory.mktemp("나눔 studio")
    database = Database(f"sqlite:///{(home / 'studio.sqlite3').as_posix()}")
    migrate(database)
    yield studio(database, home)
    database.close()


@pytest.fixture(scope="module")
def token(shared: Studio) -> str:
    return shared.link(keeps_images=True)[1]


@pytest.fixture(scope="module")
def drawing(shared: Studio) -> bytes:
    return (ROOM / "drawings" / "square" / "그림 003.png").read_bytes()


def test_a_link_serves_the_page_and_the_model(shared: Studio) -> None:
    link_id, token = shared.link()
    page = shared.client.get(f"/share/{token}")
    assert page.status_code == 200
    assert "도형 demo" in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert shared.client.head(f"/share/{token}").status_code == 200
    model = shared.client.get(f"/share/{token}/model.tflite")
    expected = (shared.folder / "model.tflite").read_bytes()
    assert sha256(model.content).digest() == sha256(expected).digest()
    again = shared.client.get(
        f"/share/{token}/model.tflite", headers={"If-None-Match": model.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    shared.counters.write()
    assert shared.find_link(link_id).page_views == 1


def test_a_prediction_is_the_models_own(shared: Studio, drawing: bytes) -> None:
    link_id, token = shared.link()
    answer = shared.client.post(
        f"/share/{token}/answer", content=drawing, headers={"Content-Type": "image/png"}
    )
    expected = Model.open(shared.folder).classify_file(drawing, "x")
    assert answer.json()["probabilities"] == [
        next(each.score for each in expected if each.label == label)
        for label in Model.open(shared.folder).labels
    ]
    assert answer.headers["cache-control"] == "no-store"
    shared.counters.write()
    assert shared.find_link(link_id).server_predictions == 1


def test_unknown_expired_and_revoked_links_give_the_same_404(shared: Studio, drawing: bytes) -> None:
    expired, revoked = shared.link(expires_at=NOW)[1], shared.link()
    with shared.database.write() as session:
        links.revoke(session, revoked[0], now())
    open_one = shared.link(expires_at=in_a_day())[1]
    guessed = links.new_token()
    responses = set()
    for path in ("", "/model.tflite", "/papers", "/answer", "/wrong"):
        method = "POST" if path.startswith(("/answer", "/wrong")) else "GET"
        for token in (
            expired,
            revoked[1],
            guessed,
            open_one[:-1],
            open_one.swapcase(),
            "x",
            "%00",
            "A" * 9_000,
        ):
            answer = shared.client.request(method, f"/share/{token}{path}", content=drawing)
            headers = [(name, value) for name, value in answer.headers.items() if name != "date"]
            responses.add((answer.status_code, answer.content, tuple(headers)))
    assert len(responses) == 1
    assert next(iter(responses))[0] == 404
    assert shared.client.get(f"/share/{open_one}").status_code == 200


def test_a_model_that_is_damaged_is_not_shown(shared: Studio) -> None:
    _link, token = shared.link()
    model = shared.folder / "model.tflite"
    content = model.read_bytes()
    fresh = share_app(shared.settings, shared.database, shared.counters)
    from starlette.testclient import TestClient

    try:
        model.write_bytes(content[:-1])
        assert TestClient(fresh).get(f"/share/{token}").status_code == 404
    finally:
        model.write_bytes(content)
    assert TestClient(fresh).get(f"/share/{token}").status_code == 200


def test_the_page_shows_training_images_only_if_the_owner_wants(shared: Studio) -> None:
    store = ImageStore(shared.settings.images_dir)
    ingest_path(
        ImportContext(database=shared.database, store=store, project_id=shared.project_id, clock=lambda: NOW),
        ROOM / "drawings",
    )
    _link, shown = shared.link(shows_examples=True)
    _link, hidden = shared.link()
    page = shared.client.get(f"/share/{shown}").text
    addresses = re.findall(r'src="(/share/[^"]+/examples/[^"]+)"', page)
    assert len(addresses) == 2 * EXAMPLES_PER_CLASS
    with (shared.folder / "snapshot.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["sha256"]: row for row in csv.DictReader(file)}
    for address in addresses:
        answer = shared.client.get(address)
        assert Image.open(io.BytesIO(answer.content)).format == "JPEG"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert rows[address.rpartition("/")[2].removesuffix(".jpg")]["split"] == "training"
        assert shared.client.get(address.replace(shown, hidden)).status_code == 404
    assert "/examples/" not in shared.client.get(f"/share/{hidden}").text
    another = next(each for each in rows if not any(each in address for address in addresses))
    assert shared.client.get(f"/share/{shown}/examples/{another}.jpg").status_code == 404


def test_page_files_are_immutable_and_no_others_are_served(shared: Studio, token: str) -> None:
    page = shared.client.get(f"/share/{token}").text
    script = re.findall(r'src="(/share/files/[^"]+/app.js)"', page)[0]
    answer = shared.client.get(script)
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    folder = script.rpartition("/")[0]
    for other in (
        "/share/files/",
        "/share/files/app.js",
        f"{folder}/index.html",
        f"{folder}/../page.py",
        f"{folder}/%2e%2e/page.py",
        f"/share/files/litertjs-{VERSION}/core.js",  # not installed
    ):
        assert shared.client.get(other).status_code == 404
    config = json.loads(re.findall(r'id="config">(.+?)</script>', page)[0])
    assert config["model"] is None
    assert config["server"] == f"/share/{token}/answer"


def test_an_installed_runtime_is_served_with_gzip(shared: Studio, token: str) -> None:
    folder = shared.settings.downloads_dir
    pack_into(folder)
    ensure_runtime(folder, Silent())
    try:
        config = json.loads(
            re.findall(r'id="config">(.+?)</script>', shared.client.get(f"/share/{token}").text)[0]
        )
        assert config["model"]["address"] == f"/share/{token}/model.tflite"
        wasm = f"{config['runtime']}wasm/{COMPAT}.wasm"
        plain = shared.client.get(wasm, headers={"Accept-Encoding": "identity"})
        compressed = shared.client.get(wasm, headers={"Accept-Encoding": "gzip"})
        assert plain.headers["content-type"] == compressed.headers["content-type"] == "application/wasm"
        assert "content-encoding" not in plain.headers
        assert int(compressed.headers["content-length"]) < 0.5 * len(plain.content)
        assert compressed.content == plain.content  # the client decompresses it
    finally:
        shutil.rmtree(folder)


def png_of(width: int, height: int, pixels: bytes = b"") -> bytes:
    """Return a PNG whose header states a size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bomb() -> bytes:
    """Return a few kilobytes that would decode to 300 megabytes of pixels."""
    return png_of(10_000, 10_000, zlib.compress(bytes(3_000_000), 9))


def form(**fields: str | bytes) -> bytes:
    """Return a feedback form as the page sends it, with some fields replaced."""
    values: dict[str, str | bytes] = {"said": "square", "right": "", "probabilities": "[0.3, 0.7]", **fields}
    body = b""
    for name, value in values.items():
        file = f'; filename="{name}.jpg"\r\nContent-Type: image/jpeg' if isinstance(value, bytes) else ""
        content = value if isinstance(value, bytes) else value.encode()
        body += (
            f'--x\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"
        )
    return body + b"--x--\r\n"


FORM = {"Content-Type": "multipart/form-data; boundary=x"}
IMAGE = {"Content-Type": "image/jpeg"}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
BAD: dict[str, tuple[str, str, bytes, dict[str, str], set[int]]] = {
    "nothing sent": ("POST", "/answer", b"", IMAGE, {400}),
    "one byte": ("POST", "/answer", b"\x00", IMAGE, {415}),
    "text": ("POST", "/answer", b"hello" * 1000, IMAGE, {415}),
    "html": ("POST", "/answer", b"<html><script>alert(1)</script>", IMAGE, {415}),
    "svg": ("POST", "/answer", SVG, IMAGE, {415}),
    "pdf": ("POST", "/answer", b"%PDF-1.7\n" + b"x" * 500, IMAGE, {415}),
    "zip": ("POST", "/answer", b"PK\x03\x04" + b"x" * 500, IMAGE, {415}),
    "form": ("POST", "/answer", b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, {415}),
    "multipart": ("POST", "/answer", b"--x--", {"Content-Type": "multipart/form-data; boundary=x"}, {415}),
    "json": ("POST", "/answer", b"{}", {"Content-Type": "application/json"}, {415}),
    "packed": ("POST", "/answer", zlib.compress(b"x"), {**IMAGE, "Content-Encoding": "gzip"}, {415}),
    "too large": ("POST", "/answer", b"\xff" * (request_body.MAX_BYTES + 1), IMAGE, {413}),
    "a length of many digits": ("POST", "/answer", b"x", {**IMAGE, "Content-Length": "9" * 5_000}, {413}),
    "bomb": ("POST", "/answer", bomb(), IMAGE, {413}),
    "a billion pixels": ("POST", "/answer", png_of(60_000, 60_000), IMAGE, {413}),
    "no pixels": ("POST", "/answer", png_of(0, 0), IMAGE, {415, 422}),
    "cut short": ("POST", "/answer", b"\xff\xd8\xff\xe0" + b"\x00" * 300, IMAGE, {415, 422}),
    "foreign origin": ("POST", "/answer", b"x", {**IMAGE, "Origin": "https://elsewhere.example"}, {403}),
    "malformed origin": ("POST", "/answer", b"x", {**IMAGE, "Origin": "http://[::1"}, {403}),
    "cross-site": ("POST", "/answer", b"x", {**IMAGE, "Sec-Fetch-Site": "cross-site"}, {403}),
    "GET of predictions": ("GET", "/answer", b"", {}, {404}),
    "posting the page": ("POST", "", b"x", IMAGE, {404}),
    "deleting": ("DELETE", "", b"", {}, {404}),
    "putting a model": ("PUT", "/model.tflite", b"TFL3", {}, {404}),
    "an unknown method": ("BREW", "/answer", b"", {}, {404}),
    "another file": ("GET", "/model.json", b"", {}, {404}),
    "the snapshot": ("GET", "/snapshot.csv", b"", {}, {404}),
    "up": ("GET", "/../../studio.sqlite3", b"", {}, {404}),
    "up, written otherwise": ("GET", "/%2e%2e/%2e%2e/studio.sqlite3", b"", {}, {404}),
    "backslashes": ("GET", "/..%5c..%5cstudio.sqlite3", b"", {}, {404}),
    "a line break": ("GET", "/%0a", b"", {}, {404}),
    "nothing in it": ("GET", "/model.tflite%00", b"", {}, {404}),
    "a slash too many": ("GET", "/", b"", {}, {404}),
    "feedback of no class": ("POST", "/wrong", form(said="cat"), FORM, {400}),
    "feedback for no class": ("POST", "/wrong", form(right="cat"), FORM, {400}),
    "feedback without numbers": ("POST", "/wrong", form(probabilities=""), FORM, {400}),
    "feedback that are no number": ("POST", "/wrong", form(probabilities="[NaN, 0.5]"), FORM, {400}),
    "feedback beyond all measure": ("POST", "/wrong", form(probabilities="[1e999, 0.5]"), FORM, {400}),
    "feedback for too few": ("POST", "/wrong", form(probabilities="[1]"), FORM, {400}),
    "feedback in the deep": ("POST", "/wrong", form(probabilities="[" * 5_000), FORM, {400}),
    "feedback of nothing": ("POST", "/wrong", b"", FORM, {400}),
    "feedback without a form": ("POST", "/wrong", b"hello", IMAGE, {400}),
    "feedback without an end": ("POST", "/wrong", form()[:-20], FORM, {400}),
    "feedback without a boundary": ("POST", "/wrong", form(), {"Content-Type": "multipart/form-data"}, {400}),
    "feedback as JSON": ("POST", "/wrong", b"{}", {"Content-Type": "application/json"}, {400}),
    "feedback with text": ("POST", "/wrong", form(image=b"hello"), FORM, {415}),
    "feedback with a bomb": ("POST", "/wrong", form(image=bomb()), FORM, {413}),
    "feedback with two images": ("POST", "/wrong", form(image=b"x", another=b"y"), FORM, {400}),
    "feedback with much else": ("POST", "/wrong", form(**{f"f{n}": "x" for n in range(50)}), FORM, {400}),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_requests_get_a_clean_refusal(shared: Studio, token: str, bad: str) -> None:
    method, path, body, headers, expected = BAD[bad]
    answer = shared.client.request(method, f"/share/{token}{path}", content=body, headers=headers)
    assert answer.status_code in expected, answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "Traceback" not in answer.text
    assert str(shared.settings.home) not in answer.text
    with shared.database.read() as session:
        (link,) = (each for each in links.list_links(session, shared.project_id) if each.keeps_images)
    assert (link.feedback_count, link.feedback_images) == (0, 0)


async def _studio_itself(scope: Scope, _receive: Receive, send: Send) -> None:
    """The studio, which no request under /share/ may reach."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"INSIDE"})


@contextmanager
def listening(shared: Studio) -> Iterator[int]:
    app = ShareMiddleware(_studio_itself, share_app(shared.settings, shared.database, shared.counters))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def send_raw(port: int, request: bytes) -> bytes:
    """Send raw bytes and return the whole response."""
    response = b""
    # A connection closed while sending is a refusal, too.
    with (
        suppress(ConnectionError),
        socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
    ):
        connection.sendall(request)
        while part := connection.recv(65_536):
            response += part
    return response or b"HTTP/1.1 400 cut off"


def test_malformed_http_never_reaches_the_studio(
    shared: Studio, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "_IDLE_TIMEOUT_S", 0.3)
    share = f"/share/{token}".encode()
    host = b"Host: x\r\nConnection: close\r\n"
    image = b"Content-Type: image/png\r\n"
    post = b"POST " + share + b"/answer HTTP/1.1\r\n"
    tricks = {
        "a body that never comes": (
            b"POST " + share + b"/answer HTTP/1.1\r\n" + host + image + b"Content-Length: 100\r\n\r\n",
            b"408",
        ),
        "a body that ends early": (
            b"POST " + share + b"/answer HTTP/1.1\r\n" + host + image + b"Content-Length: 100\r\n\r\nxx",
            b"408",
        ),
        "two lengths": (
            post + host + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            b"400",
        ),
        "a length below nothing": (
            b"POST " + share + b"/answer HTTP/1.1\r\n" + host + b"Content-Length: -1\r\n\r\n",
            b"400",
        ),
        "a length beyond all measure": (
            post + host + image + b"Content-Length: 99999999999\r\n\r\n",
            b"413",
        ),
        "a header over two lines": (
            b"GET " + share + b"/x HTTP/1.1\r\n" + host + b"X-A: b\r\n c: d\r\n\r\n",
            b"404",
        ),
        "a huge header": (
            b"GET " + share + b" HTTP/1.1\r\n" + host + b"X-A: " + b"a" * 500_000 + b"\r\n\r\n",
            b"400",
        ),
        "no HTTP": (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\r\n\r\n", b"400"),
        "up, raw": (b"GET /share/../studio/x HTTP/1.1\r\n" + host + b"\r\n", b"404"),
        "up, from a link": (b"GET " + share + b"/../../studio/x HTTP/1.1\r\n" + host + b"\r\n", b"404"),
        "a line break in the path": (b"GET /share/%0a/x HTTP/1.1\r\n" + host + b"\r\n", b"404"),
        "another path in a header": (
            b"GET " + share + b"/x HTTP/1.1\r\n" + host + b"X-Original-URL: /studio/x\r\n\r\n",
            b"404",
        ),
        "a web socket": (
            b"GET " + share + b" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            b"403",
        ),
    }  # fmt: skip
    with listening(shared) as port:
        for trick, (request, status) in tricks.items():
            answer = send_raw(port, request)
            assert answer.split(b" ", 2)[1] == status, (trick, answer[:300])
            assert b"INSIDE" not in answer
        # In pieces and without a length, more than is allowed: refused before all of it has come.
        chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        head = (
            b"POST " + share + b"/answer HTTP/1.1\r\n" + host + image + b"Transfer-Encoding: chunked\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(head)
            sent_chunks = 0
            try:
                for _each in range(100):
                    connection.sendall(chunk)
                    sent_chunks += 1
                answer = connection.recv(100)
            except OSError:
                answer = b""
        assert answer.startswith(b"HTTP/1.1 413") or sent_chunks < 100
        assert b"INSIDE" in send_raw(port, b"GET /share HTTP/1.1\r\n" + host + b"\r\n")
        assert send_raw(port, b"GET " + share + b" HTTP/1.1\r\n" + host + b"\r\n").split(b" ", 2)[1] == b"200"


def test_too_many_requests_get_429_with_retry_after(shared: Studio, token: str, drawing: bytes) -> None:
    from starlette.testclient import TestClient

    at = [0.0]
    fresh = TestClient(share_app(shared.settings, shared.database, shared.counters, clock=lambda: at[0]))
    answers = [fresh.post(f"/share/{token}/answer", content=b"x") for _each in range(101)]
    assert [answer.status_code for answer in answers] == [415] * 100 + [429]
    assert answers[-1].headers["retry-after"] == "1"
    assert fresh.get(f"/share/{token}").status_code == 200
    at[0] = 1
    assert fresh.post(f"/share/{token}/answer", content=b"x").status_code == 415


def test_a_rate_fills_up_again_and_remembers_only_so_many() -> None:
    at = [0.0]
    rate = RateLimiter(2, 0.5, clock=lambda: at[0])
    assert [rate.wait_s("a") for _each in range(3)] == [0, 0, 2]
    assert rate.wait_s("b") == 0
    at[0] = 2
    assert [rate.wait_s("a") for _each in range(2)] == [0, 2]
    for visitor in range(20_000):
        rate.wait_s(str(visitor))
    assert len(rate._buckets) == 10_000


async def _crowd() -> list[str]:
    limit, outcomes = ConcurrencyLimit(1, 2), []

    async def one() -> None:
        try:
            async with limit.slot():
                await asyncio.sleep(0.01)
            outcomes.append("done")
        except Overloaded:
            outcomes.append("full")

    await asyncio.gather(*(one() for _each in range(5)))
    return outcomes


def test_a_queue_and_a_room_have_an_end() -> None:
    # In a thread of its own: a browser's test may have left a loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        outcomes = thread.submit(asyncio.run, _crowd()).result(30)
    assert sorted(outcomes) == ["done", "done", "done", "full", "full"]
    room = MemoryBudget(10)
    room.reserve(6)
    with pytest.raises(Overloaded):
        room.reserve(5)
    room.release(6)
    room.reserve(10)


def photograph(seed: int) -> bytes:
    """Return a JPEG as a phone writes it, with GPS position, maker and comment."""
    written = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 50, 3), np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Somebody's telephone"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    image = Image.fromarray(pixels).resize((2000, 1600))
    image.save(written, "JPEG", exif=exif, comment=b"my home", quality=95)
    return written.getvalue()


def test_feedback_with_an_image_is_in_curate_without_metadata(shared: Studio) -> None:
    link_id, token = shared.link(keeps_images=True)
    content = photograph(1)
    assert b"my home" in content
    circle = model_labels(shared)[1]
    body = form(right=circle, image=content)
    assert shared.client.post(f"/share/{token}/wrong", content=body, headers=FORM).status_code == 204
    assert (shared.find_link(link_id).feedback_count, shared.find_link(link_id).feedback_images) == (
        1,
        1,
    )
    with shared.database.read() as session:
        first = feedback.list_feedback(session, shared.project_id)[0]
        page = next_page(
            session, shared.project_id, "newest", filters.parse_filter({"source": VISITOR}), limit=10
        )
        (image_id,) = page.ids
        (item,) = grid_items(session, shared.project_id, [image_id])
        provenance = provenance_of(session, shared.project_id, [image_id])[image_id]
    assert (first.predicted, first.score, first.correct, first.link_name) == (
        "square",
        0.3,
        circle,
        "도형 demo",
    )
    assert item.state == "unlabelled"
    with shared.database.read() as session:
        assert overview(session, shared.project_id).marked_wrong == 1
    assert provenance[0].title == f"marked wrong by a visitor: answered square, meant {circle}"
    assert first.sha256 is not None
    kept = ImageStore(shared.settings.images_dir).original(first.sha256, "JPEG")
    content = kept.read_bytes()
    assert b"my home" not in content
    assert b"telephone" not in content
    with Image.open(kept) as image:
        assert image.size == (1280, 1024)
        assert dict(image.getexif()) == {}


def test_an_image_is_not_stored_unless_the_owner_asked(shared: Studio) -> None:
    link_id, token = shared.link()
    answer = shared.client.post(f"/share/{token}/wrong", content=form(image=photograph(2)), headers=FORM)
    assert answer.status_code == 204
    assert (shared.find_link(link_id).feedback_count, shared.find_link(link_id).feedback_images) == (
        1,
        0,
    )


def test_feedback_of_a_link_is_limited(shared: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    link_id, token = shared.link(keeps_images=True)
    monkeypatch.setattr(feedback, "MAX_IMAGES", 1)
    monkeypatch.setattr(feedback, "MAX_FEEDBACK", 2)
    bodies = [form(image=photograph(3)), form(image=photograph(4)), form(), form()]
    statuses = [
        shared.client.post(f"/share/{token}/wrong", content=body, headers=FORM).status_code for body in bodies
    ]
    assert statuses == [204, 409, 204, 409]
    assert (shared.find_link(link_id).feedback_count, shared.find_link(link_id).feedback_images) == (
        2,
        1,
    )


def model_labels(shared: Studio) -> tuple[str, ...]:
    return Model.open(shared.folder).labels
