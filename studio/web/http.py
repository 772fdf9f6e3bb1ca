"""Who may change something through a route: one of our own pages, in a short request that comes at once."""

import asyncio
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from studio.i18n import _

PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def fault(message: str, status: int) -> Response:
    """Return the answer to a request that cannot be met. message: for people."""
    return JSONResponse({"error": message}, status, headers=PRIVATE)


_SILENCE_S = 30
"""So long nothing may come of a request before it is given up."""


def from_own_page(request: Request, header: str) -> bool:
    """Whether one of our own pages asks.

    header: of ours, which a page elsewhere cannot send without the browser asking us first, and we never
    allow it. The two others say it again, each where the browser sends it.
    """
    return header in request.headers and not from_elsewhere(request)


def from_elsewhere(request: Request) -> bool:
    """Whether a browser says that a page of another site asks."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site != "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc != request.headers.get("host")
    except ValueError:
        return True


async def body_from_own_page(
    request: Request, header: str, most_bytes: int, *, refusal: str
) -> bytes | Response:
    """Return what one of our own pages sent, or the answer to whatever else asked.

    header: as `from_own_page` has it; refusal: what others are told.
    """
    if not from_own_page(request, header):
        return fault(refusal, 403)
    body = bytearray()
    stream = request.stream()
    try:
        while True:
            async with asyncio.timeout(_SILENCE_S):
                chunk = await anext(stream, None)
            if chunk is None:
                return bytes(body)
            body += chunk
            if len(body) > most_bytes:
                return fault(_("This is too much at once. Do it in several steps."), 413)
    except (ClientDisconnect, TimeoutError):
        return Response(status_code=408)
