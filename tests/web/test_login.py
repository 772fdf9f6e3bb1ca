"""Login by an identity provider: permitted users, with the cookie that Streamlit has signed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit import config
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from studio.cli import run
from studio.settings import Settings
from studio.settings import settings as current
from studio.web import middleware
from studio.web.middleware import LoginAuth, is_permitted

SECRET = "a cookie's secret"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[TestClient]:
    async def inside(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("inside")

    before = config.get_option("server.cookieSecret")
    config.set_option("server.cookieSecret", SECRET)
    settings = Settings(home=home, users="Me@Example.org, other@example.org")
    app = Starlette(
        routes=[Route("/{rest:path}", inside)], middleware=[Middleware(LoginAuth, settings=settings)]
    )
    yield TestClient(app)
    config.set_option("server.cookieSecret", before)


def signed(user: object, secret: str = SECRET) -> dict[str, str]:
    return {USER_COOKIE_NAME: create_signed_value(secret, USER_COOKIE_NAME, json.dumps(user)).decode()}


GOOD = {"is_logged_in": True, "email": "me@example.org"}


def test_only_permitted_users_reach_the_routes(client: TestClient) -> None:
    refused = [
        {},
        {USER_COOKIE_NAME: "x"},
        signed(GOOD, "another secret"),
        signed({**GOOD, "is_logged_in": False}),
        signed({**GOOD, "email": "stranger@example.org"}),
        signed({**GOOD, "email": ""}),
        signed({**GOOD, "email_verified": False}),
        signed(["me@example.org"]),
        signed("me@example.org"),
    ]
    for cookies in refused:
        client.cookies = cookies
        answer = client.get("/studio/thumbnails/x.jpg")
        assert (answer.status_code, "inside" in answer.text) == (401, False), cookies
        assert client.get("/").text == "inside"  # Streamlit's own page, which calls require_login
    client.cookies = signed(GOOD)
    assert client.get("/studio/thumbnails/x.jpg").text == "inside"


def test_a_star_permits_every_logged_in_user(home: Path) -> None:
    everybody = Settings(home=home, users="*")
    assert is_permitted({"is_logged_in": True, "email": None}, everybody)
    assert not is_permitted({}, everybody)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "expected a secret of 8 characters or more"),
        ({"STUDIO_SECRET": "short"}, "expected a secret of 8 characters or more"),
        ({"STUDIO_USERS": "me@example.org"}, "no identity provider is configured"),
    ],
)
def test_the_server_does_not_start_without_authentication_on_other_interfaces(
    environment: dict[str, str],
    expected: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        middleware, "get_config_files", lambda _name: []
    )  # ignores this machine's own secrets
    monkeypatch.setenv("STUDIO_HOME", str(home / "new"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    current.cache_clear()
    for host in ("0.0.0.0", "::"):
        with pytest.raises(SystemExit) as ended:
            run(["serve", "--host", host, "--no-browser", "--port", "8999"])
        assert ended.value.code == 1
        assert expected in capsys.readouterr().err
    current.cache_clear()
    assert not (home / "new").exists()
