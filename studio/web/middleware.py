"""The gate: where the studio is open to others, nobody passes without the secret."""

import asyncio
import hashlib
import hmac
import json
import socket
import tomllib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from html import escape
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlencode

import streamlit as st
from starlette.datastructures import URL
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.config import get_config_files
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from studio.errors import ServerError
from studio.i18n import _
from studio.settings import Settings

_MOST_KNOWN = 10_000


class Rate:
    """A bucket of tokens for each visitor: some at once, and then so many a second."""

    def __init__(self, at_once: float, per_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._at_once, self._per_s, self._clock = at_once, per_s, clock
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, visitor: str) -> float:
        """Take one; return 0, or the seconds after which there is one again."""
        now = self._clock()
        left, at = self._known.pop(visitor, (self._at_once, now))
        left = min(self._at_once, left + (now - at) * self._per_s)
        allowed = left >= 1
        self._known[visitor] = (left - 1 if allowed else left, now)
        if len(self._known) > _MOST_KNOWN:  # whoever was seen longest ago has a full bucket by now
            self._known.popitem(last=False)
        return 0 if allowed else (1 - left) / self._per_s


class Full(Exception):
    """There is no room for this at the moment."""


class Room:
    """The memory that images on their way may take up together."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes

    def take(self, size_bytes: int) -> None:
        """Raises Full where there is not so much left."""
        if size_bytes > self._left:
            raise Full
        self._left -= size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Free what was taken."""
        self._left += size_bytes


class Queue:
    """Turns at something that only a few can do at once; of others only so many may wait."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._places = at_once + waiting
        self._inside = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn. Raises Full where too many wait already."""
        if self._inside >= self._places:
            raise Full
        self._inside += 1
        try:
            async with self._turns:
                yield
        finally:
            self._inside -= 1


_COOKIE = "studio_pass"
_PARAMETER = "secret"
_YEAR_S = 365 * 24 * 3600
_LONGEST_FORM = 10_000
_TRIES, _TRIES_PER_S = 10, 0.1
"""So many guesses a visitor has at once, and then one every ten seconds."""


class Gate:
    """ASGI middleware around everything, web sockets too.

    Who brings the secret, by the form or as `?secret=…`, gets a cookie and the same address without it; who
    has the cookie passes. The cookie holds a digest, so that the secret itself is not kept in browsers.
    """

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app, self._secret = app, secret
        self._pass = hashlib.sha256(b"retrain-studio pass " + secret.encode()).hexdigest()
        self._tries = Rate(_TRIES, _TRIES_PER_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through, hand out the cookie, or refuse."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        visitor = HTTPConnection(scope)
        if hmac.compare_digest(visitor.cookies.get(_COOKIE, "").encode(), self._pass.encode()):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4401})
        else:
            await (await self._answer(Request(scope, receive)))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        brought = request.query_params.get(_PARAMETER, "") or await _filled_in(request)
        if not brought:
            return HTMLResponse(_page(), 401)
        if self._tries.wait_s(request.client.host if request.client else ""):
            return HTMLResponse(_page(_("That was tried too often. Wait a minute.")), 429)
        if not hmac.compare_digest(brought.encode("utf-8", "replace"), self._secret.encode()):
            return HTMLResponse(_page(_("That is not it.")), 401)
        kept = [(key, value) for key, value in request.query_params.multi_items() if key != _PARAMETER]
        address = URL(request.url.path).replace(query=urlencode(kept))
        answer = RedirectResponse(str(address), status_code=303)
        answer.set_cookie(
            _COOKIE,
            self._pass,
            max_age=_YEAR_S,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer


async def _filled_in(request: Request) -> str:
    """Return what the form brings; empty where it is none of ours."""
    if request.method != "POST" or "urlencoded" not in request.headers.get("content-type", ""):
        return ""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LONGEST_FORM:
                return ""
        return parse_qs(body.decode("ascii"), max_num_fields=10).get(_PARAMETER, [""])[0]
    except (ValueError, ClientDisconnect):
        return ""


def _page(fault: str = "") -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Retrain Studio</title>'
        "<style>:root{color-scheme:light dark}"
        "body{font:1rem system-ui;max-width:24rem;margin:20vh auto;padding:1rem}"
        "input,button{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin-top:.5rem}</style>"
        f'<h1>Retrain Studio</h1><form method="post"><label>{_("The secret of this studio")}'
        f'<input name="{_PARAMETER}" type="password" autocomplete="current-password" autofocus></label>'
        f'<button>{_("Enter")}</button></form><p role="alert">{escape(fault)}</p></html>'
    )


_OURS = "/studio/"
_NEEDED = ("redirect_uri", "cookie_secret")


def check_provider() -> None:
    """Raise ServerError, saying what to do, where no identity provider is set up."""
    auth = _secrets_of_login()
    missing = [name for name in _NEEDED if not auth.get(name)]
    if missing:
        raise ServerError(
            _(
                "STUDIO_USERS names who may come in, but no identity provider is set up: {missing} is "
                "missing from [auth] in .streamlit/secrets.toml. Streamlit's page about st.login says what "
                "belongs there."
            ).format(missing=", ".join(missing))
        )
    try:
        import_module("authlib.integrations.starlette_client")
    except ImportError as error:
        raise ServerError(
            _("An identity provider needs libraries that are not here. Run: pip install streamlit[auth]")
        ) from error


def _secrets_of_login() -> dict[str, Any]:
    """Return what `[auth]` holds, in the files where Streamlit looks; the later ones go before.

    Not through `st.secrets`, which makes Streamlit read its whole configuration before the server's is told.
    """
    found: dict[str, Any] = {}
    for path in map(Path, get_config_files("secrets.toml")):
        if not path.is_file():
            continue
        try:
            found |= tomllib.loads(path.read_text(encoding="utf-8")).get("auth", {})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ServerError(
                _("{path} cannot be used: {why}. Mend it, or take it away.").format(path=path, why=error)
            ) from error
    return found


def is_permitted(user: Any, settings: Settings) -> bool:
    """Whether somebody may come in. user: a mapping, what the provider says of them."""
    mail = str(user.get("email") or "").strip().lower()
    if not user.get("is_logged_in") or user.get("email_verified") is False:
        return False
    return "*" in settings.permitted_users or mail in settings.permitted_users


class IdentityGate:
    """ASGI middleware around our own routes, which Streamlit does not guard; its pages ask for themselves."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through or refuse."""
        ours = scope["type"] == "http" and scope["path"].startswith(_OURS)
        if ours and not is_permitted(_user(HTTPConnection(scope)), self._settings):
            answer = PlainTextResponse(_("Log in first: open the studio's start page."), 401)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def let_in(settings: Settings) -> None:
    """Stop a page's script where its visitor has not logged in, or may not come in. Nothing to do else."""
    if not settings.permitted_users:
        return
    user = st.user.to_dict()
    if is_permitted(user, settings):
        return
    st.title("Retrain Studio", anchor=False)
    if user.get("is_logged_in"):
        st.warning(_("You are logged in as {name}, who may not come in here.").format(name=user.get("email")))
        st.button(_("Log in as somebody else"), on_click=st.logout)
    else:
        st.button(_("Log in"), on_click=st.login, type="primary", icon=":material/login:")
    st.stop()


def _user(visitor: HTTPConnection) -> dict[str, Any]:
    """Return what the provider said of a visitor, out of the cookie that Streamlit has signed."""
    secret = get_cookie_secret()

    def signed(name: str) -> bytes | None:
        value = visitor.cookies.get(name)
        return decode_signed_value(secret, name, value) if value and secret else None

    try:
        found = get_cookie_with_chunks(signed, USER_COOKIE_NAME)
        user = json.loads(found) if found else {}
    except ValueError:
        return {}
    return user if isinstance(user, dict) else {}


def send_at_once() -> None:
    """Make asyncio set TCP_NODELAY on every TCP connection of this process.

    It does so by itself only for sockets that were opened with the protocol named, and Streamlit's is not.
    uvicorn writes head and body one after the other, and the kernel keeps the second, small packet back until
    the other side has acknowledged the first: which it does when 40 ms have passed (Nagle's algorithm meets
    delayed acknowledgements). A grid of sixty thumbnails took half a second for it.
    """
    asyncio.base_events._set_nodelay = _set_nodelay  # type: ignore[attr-defined]


def _set_nodelay(connection: socket.socket) -> None:
    if connection.family in {socket.AF_INET, socket.AF_INET6} and connection.type == socket.SOCK_STREAM:
        with suppress(OSError):  # the other side has gone already
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
