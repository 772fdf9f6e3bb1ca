"""Search services: the interface of one, its hits, and the parsing of answers that all share."""

import html
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from bs4 import BeautifulSoup

from studio.collect.web.fetcher import Fetcher, FetchResult, ResourceKind
from studio.collect.web.page_text import single_line
from studio.collect.web.urls import resolve_url
from studio.errors import ImageRefused, SearchFailed
from studio.i18n import _
from studio.images.provenance import LICENCE_CODES, Provenance
from studio.images.skip_reasons import SkipReason
from studio.settings import Settings

MAX_PAGES = 20
"""The pages read per phrase: the limit of Openverse; later hits match the phrase less and less."""
_MAX_HTML_CHARS = 20_000
_MAX_SIDE_PX = 1_000_000


@dataclass(frozen=True)
class ServiceHit:
    """An image that a service found."""

    url: str
    preview_url: str
    """URL of a small copy; empty if there is none."""
    width_px: int | None
    height_px: int | None
    """None if the service does not state it."""
    provenance: Provenance
    phrase: str
    """The phrase that found it."""

    def is_smaller_than(self, side_px: int) -> bool:
        """Return whether its shorter side is known to be below `side_px`."""
        sides = [side for side in (self.width_px, self.height_px) if side is not None]
        return bool(sides) and min(sides) < side_px


class SearchClient(Protocol):
    """A connection to one search service."""

    def search(self, phrase: str, *, licences: frozenset[str], min_side_px: int) -> Iterator[ServiceHit]:
        """Yield hits, best first, and request the next page when the hits before it are used up.

        licences: licence codes that a hit may have; empty: any. Images known to have a side shorter than
        `min_side_px` are left out. Raises SearchFailed when the service does not answer or refuses.
        """


Pause = Callable[[float], object]
"""Waits for a number of seconds, or less when the search is being stopped."""


@dataclass(frozen=True)
class SearchService:
    """A service that can be searched for images: one entry of `SEARCH_SERVICES`."""

    name: str
    """In job arguments, in provenance and on the command line."""
    title: str
    """For people."""
    preview_kind: ResourceKind
    """`service` if the service makes its previews for programs, so that robots.txt need not be read."""
    connect: Callable[[Fetcher, Settings, Pause], SearchClient]
    """Returns a client; reads the service's address and key from the settings."""
    licences: tuple[str, ...] = LICENCE_CODES
    """Licence codes that a search can be limited to."""


def send_query(
    fetcher: Fetcher,
    url: str,
    parameters: Mapping[str, Any],
    *,
    title: str,
    busy: str,
    headers: Mapping[str, str] | None = None,
) -> FetchResult:
    """Send a query to a service; the result may be a client error with a body (status 400 to 499).

    title: of the service, for messages. busy: message for when its rate limit is exceeded. Raises
    SearchFailed when no answer comes.
    """
    try:
        return fetcher.get(f"{url}?{urlencode(parameters)}", kind="service", headers=headers)
    except ImageRefused as error:
        raise search_error(error, title=title, busy=busy) from error


def search_error(error: ImageRefused, *, title: str, busy: str) -> SearchFailed:
    """Return the error for a service that gave no answer."""
    if error.skip_reason == SkipReason.BUSY:
        return SearchFailed(busy)
    return SearchFailed(_("{name} could not be searched: {why}").format(name=title, why=error))


def parse_json_object(result: FetchResult, title: str) -> dict[str, Any]:
    """Return the JSON object in a service's answer. Raises SearchFailed for anything else."""
    try:
        found = json.loads(result.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SearchFailed(
            _("expected JSON from {name}; it answered something else ({status}). Ask again later.").format(
                name=title, status=result.status
            )
        )
    return found


def single_line_text(value: object) -> str:
    """Return a value that may be HTML as one line of plain text; empty for anything that is not text."""
    if not isinstance(value, str | int | float):
        return ""
    text = str(value)[:_MAX_HTML_CHARS]
    if "<" not in text:
        return single_line(html.unescape(text))
    soup = BeautifulSoup(text, "html.parser")
    for tag in soup.select('[style*="display:none"], [style*="display: none"]'):
        tag.decompose()
    return single_line(soup.get_text(" "))


def valid_url(value: object, base: str = "") -> str:
    """Return a value as a normalised URL; empty if it is not one that may be fetched or linked."""
    return (resolve_url(value, base) or "") if isinstance(value, str) else ""


def valid_side_px(value: object) -> int | None:
    """Return a side length, or None if the value is not a plausible one."""
    return value if type(value) is int and 0 < value <= _MAX_SIDE_PX else None


MAX_PHRASE_CHARS = 200
"""Openverse's limit; with the filters that are added also within that of Wikimedia Commons, 300."""


def check_phrase_length(phrase: str) -> None:
    """Raise SearchFailed when a phrase is longer than services accept; they would truncate it silently."""
    if len(phrase) > MAX_PHRASE_CHARS:
        raise SearchFailed(
            _("expected at most {limit} characters to search for; these are {count}: {words}…").format(
                limit=MAX_PHRASE_CHARS, count=len(phrase), words=phrase[:40]
            )
        )
