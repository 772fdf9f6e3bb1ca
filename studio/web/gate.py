"""The gate: where the studio is open to others, nobody passes without the secret."""

import hashlib
import hmac
from urllib.parse import urlencode

from starlette.datastructures import URL
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from studio.language import _

_COOKIE = "studio_pass"
_PARAMETER = "secret"
_YEAR_S = 365 * 24 * 3600


class Gate:
    """ASGI middleware around everything, web sockets too.

    Who brings `?secret=…` gets a cookie and the same address without it; who has the cookie passes. The
    cookie holds a digest, so that the secret itself is not kept in browsers.
    """

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app, self._secret = app, secret
        self._pass = hashlib.sha256(b"retrain-studio pass " + secret.encode()).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through, hand out the cookie, or refuse."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        visitor = HTTPConnection(scope)
        if hmac.compare_digest(visitor.cookies.get(_COOKIE, ""), self._pass):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4401})
        else:
            await self._answer(Request(scope))(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        brought = request.query_params.get(_PARAMETER, "")
        if not brought or not hmac.compare_digest(brought.encode(), self._secret.encode()):
            return HTMLResponse(_page(), status_code=401)
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


def _page() -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Retrain Studio</title>'
        "<style>:root{color-scheme:light dark}"
        "body{font:1rem system-ui;max-width:24rem;margin:20vh auto;padding:1rem}"
        "input,button{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin-top:.5rem}</style>"
        f"<h1>Retrain Studio</h1><form><label>{_('The secret that came with the address')}"
        f'<input name="{_PARAMETER}" type="password" autofocus></label>'
        f"<button>{_('Enter')}</button></form></html>"
    )
