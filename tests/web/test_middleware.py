"""Authentication by a shared secret: form, URL, cookie, rate limit."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from studio.web.middleware import SharedSecretAuth


async def inside(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"inside {request.url.path}?{request.url.query}")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("inside")
    await asyncio.sleep(0)
    await websocket.close()


@pytest.fixture
def client() -> TestClient:
    app = Starlette(
        routes=[Route("/{rest:path}", inside), WebSocketRoute("/stream", socket)],
        middleware=[Middleware(SharedSecretAuth, secret="비밀 s3cret&=")],
    )
    return TestClient(app, base_url="http://testserver")


def test_requests_without_the_secret_are_refused(client: TestClient) -> None:
    for address in ("/", "/studio/thumbnails/" + "0" * 64 + ".webp", "/?secret=wrong", "/_stcore/health"):
        answer = client.get(address)
        assert answer.status_code == 401
        assert "inside" not in answer.text
    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/stream"):
        pass
    assert refused.value.code == 4401


def test_the_secret_in_the_url_sets_a_cookie(client: TestClient) -> None:
    answer = client.get(
        "/curate", params={"project": "꽃", "secret": "비밀 s3cret&="}, follow_redirects=False
    )
    assert answer.status_code == 303
    assert "secret" not in answer.headers["location"]
    assert "s3cret" not in answer.headers["set-cookie"]
    assert client.get(answer.headers["location"]).text.startswith("inside /curate?project=")
    with client.websocket_connect("/stream") as websocket:
        assert websocket.receive_text() == "inside"


def test_the_form_keeps_the_secret_out_of_urls(client: TestClient) -> None:
    answer = client.post("/curate?project=p", data={"secret": "비밀 s3cret&="}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/curate?project=p")
    assert client.get("/").text.startswith("inside")
    fresh = TestClient(client.app, base_url="http://testserver")
    for form in ({"secret": "wrong"}, {"secret": ""}, {"other": "비밀 s3cret&="}, {"secret": "x" * 20_000}):
        assert fresh.post("/", data=form).status_code == 401
    assert (
        fresh.post("/", content=b"\xff", headers={"Content-Type": "x-www-form-urlencoded"}).status_code == 401
    )


def test_wrong_secrets_are_rate_limited(client: TestClient) -> None:
    answers = [client.post("/", data={"secret": f"guess {number}"}).status_code for number in range(12)]
    assert answers == [401] * 10 + [429] * 2
    assert client.post("/", data={"secret": "비밀 s3cret&="}).status_code == 429
    assert client.get("/").status_code == 401


def test_a_redirect_stays_on_this_host(client: TestClient) -> None:
    answer = client.get("//elsewhere.example/x", params={"secret": "비밀 s3cret&="}, follow_redirects=False)
    assert not answer.headers.get("location", "").startswith("//")


def test_the_form_needs_no_scripts(client: TestClient) -> None:
    page = client.get("/").text
    assert "<script" not in page
    assert "<label>" in page
