"""Middleware: authentication by a shared secret or by login, rate and concurrency limits, TCP no-delay.

The CSRF guard of single routes is in `studio.web.http`.
"""

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

_MAX_CLIENTS = 10_000


class RateLimiter:
    """Token bucket per client: `burst` requests at once, then `per_s` requests a second."""

    def __init__(self, burst: float, per_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._burst, self._per_s, self._clock = burst, per_s, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Take a token; return 0, or the seconds until the next token."""
        now = self._clock()
        tokens, updated_at = self._buckets.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - updated_at) * self._per_s)
        allowed = tokens >= 1
        self._buckets[client] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > _MAX_CLIENTS:  # the client seen longest ago has a full bucket by now
            self._buckets.popitem(last=False)
        return 0 if allowed else (1 - tokens) / self._per_s


class Overloaded(Exception):
    """No memory or no place in the queue is left for a request."""


class MemoryBudget:
    """Limit of the memory that all request bodies take up together."""

    def __init__(self, max_bytes: int) -> None:
        self._free = max_bytes

    def reserve(self, size_bytes: int) -> None:
        """Reserve memory. Raises Overloaded where too little is free."""
        if size_bytes > self._free:
            raise Overloaded
        self._free -= size_bytes

    def release(self, size_bytes: int) -> None:
        """Free reserved memory."""
        self._free += size_bytes


class ConcurrencyLimit:
    """Semaphore of `concurrent` slots with a queue of at most `waiting` requests."""

    def __init__(self, concurrent: int, waiting: int) -> None:
        self._slots = asyncio.Semaphore(concurrent)
        self._capacity = concurrent + waiting
        self._requests = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot. Raises Overloaded where the queue is full."""
        if self._requests >= self._capacity:
            raise Overloaded
        self._requests += 1
        try:
            async with self._slots:
                yield
        finally:
            self._requests -= 1


_COOKIE = "studio_pass"
_PARAMETER = "secret"
_YEAR_S = 365 * 24 * 3600
_MAX_FORM_BYTES = 10_000
_MAX_ATTEMPTS, _ATTEMPTS_PER_S = 10, 0.1
"""Wrong secrets that a client may send at once, and then a second: one every ten seconds."""


class SharedSecretAuth:
    """ASGI middleware: authentication by a shared secret, for HTTP and web sockets.

    A request with the secret, in the form or as `?secret=…`, gets a cookie and a redirect to the same URL
    without the secret; a request with the cookie passes. The cookie holds a digest, so that browsers do not
    keep the secret itself.
    """

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app, self._secret = app, secret
        self._token = hashlib.sha256(b"retrain-studio pass " + secret.encode()).hexdigest()
        self._attempts = RateLimiter(_MAX_ATTEMPTS, _ATTEMPTS_PER_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an authenticated request on; answer any other with the form."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        cookie = HTTPConnection(scope).cookies.get(_COOKIE, "")
        if hmac.compare_digest(cookie.encode(), self._token.encode()):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4401})
        else:
            await (await self._answer(Request(scope, receive)))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        secret = request.query_params.get(_PARAMETER, "") or await _posted_secret(request)
        if not secret:
            return HTMLResponse(_form_page(), 401)
        if self._attempts.wait_s(request.client.host if request.client else ""):
            return HTMLResponse(_form_page(_("Too many attempts. Wait a minute, then try again.")), 429)
        if not hmac.compare_digest(secret.encode("utf-8", "replace"), self._secret.encode()):
            return HTMLResponse(_form_page(_("This secret is wrong. Try again.")), 401)
        kept = [(key, value) for key, value in request.query_params.multi_items() if key != _PARAMETER]
        url = URL(request.url.path).replace(query=urlencode(kept))
        answer = RedirectResponse(str(url), status_code=303)
        answer.set_cookie(
            _COOKIE,
            self._token,
            max_age=_YEAR_S,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer


async def _posted_secret(request: Request) -> str:
    """Return the secret of a submitted form; empty where the request is no such form."""
    if request.method != "POST" or "urlencoded" not in request.headers.get("content-type", ""):
        return ""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_FORM_BYTES:
                return ""
        return parse_qs(body.decode("ascii"), max_num_fields=10).get(_PARAMETER, [""])[0]
    except (ValueError, ClientDisconnect):
        return ""


def _form_page(error: str = "") -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Retrain Studio</title>'
        "<style>:root{color-scheme:light dark}"
        "body{font:1rem system-ui;max-width:24rem;margin:20vh auto;padding:1rem}"
        "input,button{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin-top:.5rem}</style>"
        f'<h1>Retrain Studio</h1><form method="post"><label>{_("The secret of this studio")}'
        f'<input name="{_PARAMETER}" type="password" autocomplete="current-password" autofocus></label>'
        f'<button>{_("Enter")}</button></form><p role="alert">{escape(error)}</p></html>'
    )


_ROUTES_PREFIX = "/studio/"
_REQUIRED_KEYS = ("redirect_uri", "cookie_secret")


def check_identity_provider() -> None:
    """Raise ServerError where no identity provider is configured, with the next step."""
    auth = _auth_secrets()
    missing = [name for name in _REQUIRED_KEYS if not auth.get(name)]
    if missing:
        raise ServerError(
            _(
                "STUDIO_USERS is set, but no identity provider is configured: {missing} is missing from "
                "[auth] in .streamlit/secrets.toml. See Streamlit's page about st.login for what to write "
                "there."
            ).format(missing=", ".join(missing))
        )
    try:
        import_module("authlib.integrations.starlette_client")
    except ImportError as error:
        raise ServerError(
            _("Login needs libraries that are not installed. Run: pip install streamlit[auth]")
        ) from error


def _auth_secrets() -> dict[str, Any]:
    """Return `[auth]` of Streamlit's secrets files; later files override earlier ones.

    Not through `st.secrets`, which makes Streamlit read its whole configuration before the server sets its
    own.
    """
    auth: dict[str, Any] = {}
    for path in map(Path, get_config_files("secrets.toml")):
        if not path.is_file():
            continue
        try:
            auth |= tomllib.loads(path.read_text(encoding="utf-8")).get("auth", {})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ServerError(
                _("{path} cannot be read: {reason}. Correct the file or remove it.").format(
                    path=path, reason=error
                )
            ) from error
    return auth


def is_permitted(user: Any, settings: Settings) -> bool:
    """Return whether a user may use the studio. user: a mapping, the identity provider's claims."""
    mail = str(user.get("email") or "").strip().lower()
    if not user.get("is_logged_in") or user.get("email_verified") is False:
        return False
    return "*" in settings.permitted_users or mail in settings.permitted_users


class LoginAuth:
    """ASGI middleware: authentication of the studio's routes by Streamlit's login cookie.

    Streamlit does not guard routes that are not its own; pages call `require_login`.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a permitted request on; answer any other with 401."""
        guarded = scope["type"] == "http" and scope["path"].startswith(_ROUTES_PREFIX)
        if guarded and not is_permitted(_logged_in_user(HTTPConnection(scope)), self._settings):
            answer = PlainTextResponse(_("Log in first: open the studio's start page."), 401)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def require_login(settings: Settings) -> None:
    """Stop a page's script unless its user is logged in and permitted; do nothing where login is off."""
    if not settings.permitted_users:
        return
    user = st.user.to_dict()
    if is_permitted(user, settings):
        return
    st.title("Retrain Studio", anchor=False)
    if user.get("is_logged_in"):
        st.warning(
            _("You are logged in as {name}, who has no access to this studio.").format(name=user.get("email"))
        )
        st.button(_("Log in as somebody else"), on_click=st.logout)
    else:
        st.button(_("Log in"), on_click=st.login, type="primary", icon=":material/login:")
    st.stop()


def _logged_in_user(connection: HTTPConnection) -> dict[str, Any]:
    """Return the identity provider's claims from the cookie that Streamlit has signed; empty without one."""
    secret = get_cookie_secret()

    def signed(name: str) -> bytes | None:
        value = connection.cookies.get(name)
        return decode_signed_value(secret, name, value) if value and secret else None

    try:
        claims = get_cookie_with_chunks(signed, USER_COOKIE_NAME)
        user = json.loads(claims) if claims else {}
    except ValueError:
        return {}
    return user if isinstance(user, dict) else {}


def enable_tcp_nodelay() -> None:
    """Make asyncio set TCP_NODELAY on every TCP connection of this process.

    asyncio sets it only for sockets that were opened with the protocol named, and Streamlit's is not. uvicorn
    writes head and body one after the other, and the kernel delays the second, small packet until the client
    has acknowledged the first, which it does after 40 ms (Nagle's algorithm and delayed acknowledgements).
    It delayed a grid of sixty thumbnails by half a second.
    """
    asyncio.base_events._set_nodelay = _set_nodelay  # type: ignore[attr-defined]


def _set_nodelay(connection: socket.socket) -> None:
    if connection.family in {socket.AF_INET, socket.AF_INET6} and connection.type == socket.SOCK_STREAM:
        with suppress(OSError):  # the client has closed the connection already
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
