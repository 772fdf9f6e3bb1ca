"""Telling our own pages from others: whoever may change something through a route must be one of ours."""

from urllib.parse import urlsplit

from starlette.requests import Request


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
