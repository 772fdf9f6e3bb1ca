"""Who may change something through a route: one of our own pages, in a short request that comes at once."""

import asyncio
from urllib.parse import urlsplit

from starlette.requests import Request

_SILENCE_S = 30
"""So long nothing may come of a request before it is given up."""


def from_own_page(request: Request, header: str) -> bool:
    """Whether one of our own pages asks.

    header: of ours, which a page elsewhere cannot send without the browser asking us first, and we never
    allow it. The two others say it again, each where the browser sends it.
    """
    if header not in request.headers:
        return False
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def body_of(request: Request, most_bytes: int) -> bytes | None:
    """Return what was sent; None where it is more.

    Raises ClientDisconnect, and TimeoutError where the sender falls silent.
    """
    body = bytearray()
    stream = request.stream()
    while True:
        async with asyncio.timeout(_SILENCE_S):
            chunk = await anext(stream, None)
        if chunk is None:
            return bytes(body)
        body += chunk
        if len(body) > most_bytes:
            return None
