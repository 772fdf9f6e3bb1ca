"""The gate: where the studio is open to others, nobody passes without the secret."""

import hashlib
import hmac
from html import escape
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import URL
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from studio.language import _
from studio.web.limits import Rate

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
