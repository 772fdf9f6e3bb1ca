"""Login by an identity provider: a minimal OpenID Connect server."""

import json
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from playwright.sync_api import BrowserContext, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from tests.conftest import free_port
from tests.e2e import conftest
from tests.e2e.conftest import run_server, take_screenshot

pytestmark = pytest.mark.browser
KEY = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})


class Provider:
    """OpenID Connect provider that logs everybody in as `mail`."""

    def __init__(self) -> None:
        self.mail = "me@example.org"
        self.address = f"http://127.0.0.1:{free_port()}"
        self._nonces: dict[str, str] = {}

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._about),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/keys", self._keys),
            ]
        )

    async def _about(self, _request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "issuer": self.address,
                "authorization_endpoint": f"{self.address}/authorize",
                "token_endpoint": f"{self.address}/token",
                "jwks_uri": f"{self.address}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
            }
        )

    async def _authorize(self, request: Request) -> RedirectResponse:
        query = request.query_params
        code = f"code-{len(self._nonces)}"
        self._nonces[code] = query["nonce"]
        back = urlencode({"code": code, "state": query["state"]})
        return RedirectResponse(f"{query['redirect_uri']}?{back}")

    async def _token(self, request: Request) -> JSONResponse:
        form = await request.form()
        at = int(time.time())
        claims = {
            "iss": self.address,
            "aud": "studio",
            "sub": self.mail,
            "email": self.mail,
            "email_verified": True,
            "nonce": self._nonces[str(form["code"])],
            "iat": at,
            "exp": at + 600,
        }
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, KEY)
        return JSONResponse(
            {"access_token": "x", "token_type": "Bearer", "expires_in": 600, "id_token": token}
        )

    async def _keys(self, _request: Request) -> JSONResponse:
        return JSONResponse({"keys": [KEY.as_dict(private=False)]})


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Provider]]:
    """A server that listens on all interfaces, and its identity provider."""
    pytest.importorskip("authlib")
    provider = Provider()
    server = uvicorn.Server(
        uvicorn.Config(provider.app(), port=int(provider.address.rpartition(":")[2]), log_level="critical")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    folder = tmp_path_factory.mktemp("들어오기 home")
    port = free_port()
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "secrets.toml").write_text(
        "[auth]\n"
        + "".join(
            f"{name} = {json.dumps(value)}\n"
            for name, value in {
                "redirect_uri": f"http://127.0.0.1:{port}/oauth2callback",
                "cookie_secret": "a secret of the cookies, long enough",
                "client_id": "studio",
                "client_secret": "the studio's own",
                "server_metadata_url": f"{provider.address}/.well-known/openid-configuration",
            }.items()
        ),
        encoding="utf-8",
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(conftest, "free_port", lambda: port)
        environment = {"HOME": str(folder), "USERPROFILE": str(folder), "STUDIO_USERS": "me@example.org"}
        with run_server(folder / "data", "--host", "0.0.0.0", **environment) as (address, _process):
            yield address, provider
    server.should_exit = True
    thread.join()


def test_listed_users_have_access_and_others_do_not(
    guarded: tuple[str, Provider], context: BrowserContext
) -> None:
    address, provider = guarded
    page = context.new_page()
    page.goto(f"{address}/curate")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    expect(page.get_by_role("link", name="Curate")).to_have_count(0)
    take_screenshot(page, "login")
    answer = page.request.get(f"{address}/studio/projects/1/items?ids=1")
    assert answer.status == 401

    provider.mail = "stranger@example.org"
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_text("who has no access to this studio")).to_be_visible()
    assert page.request.get(f"{address}/studio/projects/1/items?ids=1").status == 401

    provider.mail = "Me@Example.org"
    page.get_by_role("button", name="Log in as somebody else").click()
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("link", name="Curate")).to_be_visible()
    # 404, not 401: only permitted users learn that the project does not exist.
    assert page.request.get(f"{address}/studio/projects/1/items?ids=1").status == 404
    assert page.request.get(f"{address}/share/nothing").status == 404
