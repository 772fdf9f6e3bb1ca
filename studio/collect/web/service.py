"""What all services that are searched share: what a hit is, how they are asked, text out of their HTML."""

import html
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol
from urllib.parse import urlencode

from bs4 import BeautifulSoup

from studio.collect.web.fetcher import Answer, Kind, Visitor
from studio.collect.web.urls import joined, line
from studio.errors import ImageRefused, SearchFailed
from studio.i18n import _
from studio.images.provenance import CODES, Provenance
from studio.images.reasons import SkipReason

MOST_PAGES = 20
"""How far a search is followed: Openverse allows no more, and what comes later fits the words ever less."""
_LONGEST_HTML = 20_000
_LONGEST_SIDE_PX = 1_000_000


@dataclass(frozen=True)
class Hit:
    """An image that a service knows."""

    address: str
    preview_address: str
    """Of a small copy; empty where there is none."""
    width_px: int | None
    height_px: int | None
    """None: the service does not say."""
    provenance: Provenance
    phrase: str
    """The words that found it."""

    def is_smaller_than(self, side_px: int) -> bool:
        """Whether its shorter side is known to be below `side_px`."""
        sides = [side for side in (self.width_px, self.height_px) if side is not None]
        return bool(sides) and min(sides) < side_px


class Service(Protocol):
    """Finds images by words."""

    preview_kind: ClassVar[Kind]
    """As what its previews are asked for."""

    def find(self, words: str, *, licences: frozenset[str], min_side_px: int) -> Iterator[Hit]:
        """Yield images, those that fit best first, asking for more as they are taken.

        licences: codes as in `studio.images.provenance.CODES`; empty: any. An image that is known to have a
        shorter side than `min_side_px` is left out. Raises SearchFailed when the service does not answer or
        refuses.
        """


def asked(
    visitor: Visitor,
    address: str,
    parameters: Mapping[str, Any],
    *,
    name: str,
    busy: str,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Ask a service, and return its answer; it may be a refusal with a body (status 400 to 499).

    name: the service's, for people. busy: what to say to a person when it is asked too often. Raises
    SearchFailed when no answer comes.
    """
    try:
        return visitor.get(f"{address}?{urlencode(parameters)}", kind="service", headers=headers)
    except ImageRefused as refusal:
        raise failure(refusal, name=name, busy=busy) from refusal


def failure(refusal: ImageRefused, *, name: str, busy: str) -> SearchFailed:
    """Return what a person is told when a service gave no answer."""
    if refusal.why == SkipReason.BUSY:
        return SearchFailed(busy)
    return SearchFailed(_("{name} could not be searched: {why}").format(name=name, why=refusal))


def content(answer: Answer, name: str) -> dict[str, Any]:
    """Return an answer's JSON object. Raises SearchFailed when it is none."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SearchFailed(
            _("expected JSON from {name}; it answered something else ({status}). Ask again later.").format(
                name=name, status=answer.status
            )
        )
    return found


def plain(value: object) -> str:
    """Return a stranger's text, which may be HTML, as one line of plain text; nothing where there is none."""
    if not isinstance(value, str | int | float):
        return ""
    text = str(value)[:_LONGEST_HTML]
    if "<" not in text:
        return line(html.unescape(text))
    soup = BeautifulSoup(text, "html.parser")
    for tag in soup.select('[style*="display:none"], [style*="display: none"]'):
        tag.decompose()
    return line(soup.get_text(" "))


def link(value: object, base: str = "") -> str:
    """Return a stranger's address in its normal form; nothing where it is not one that is asked or shown."""
    return (joined(value, base) or "") if isinstance(value, str) else ""


def pixels(value: object) -> int | None:
    """Return a side's length where the service gives one."""
    return value if type(value) is int and 0 < value <= _LONGEST_SIDE_PX else None


SERVICES = {"openverse": "Openverse", "commons": "Wikimedia Commons"}
"""Their names in arguments and provenance, and for people."""
MOST_CHARACTERS = 200
"""Of the words: Openverse's own limit, and with what is added to them still within Commons'."""


def checked_phrases(service: str, phrases: Sequence[str], licences: Collection[str]) -> tuple[str, ...]:
    """Return the phrases that are searched for, each once.

    Raises SearchFailed when there is none, one is too long, or a service or a licence is unknown.
    """
    if service not in SERVICES:
        raise SearchFailed(
            _("expected one of {known} to be searched; got {service}.").format(
                known=", ".join(SERVICES), service=service
            )
        )
    unknown = sorted(set(licences) - set(CODES))
    if unknown:
        raise SearchFailed(
            _("expected licences among {known}; got {unknown}.").format(
                known=", ".join(CODES), unknown=", ".join(unknown)
            )
        )
    searched = tuple(dict.fromkeys(words for phrase in phrases if (words := " ".join(phrase.split()))))
    if not searched:
        raise SearchFailed(_("expected words to search for; there are none. Type what the images show."))
    for words in searched:
        refuse_long(words)
    return searched


def refuse_long(words: str) -> None:
    """Raise SearchFailed when the words are more than services take; they would be cut without a word."""
    if len(words) > MOST_CHARACTERS:
        raise SearchFailed(
            _("expected at most {limit} characters to search for; these are {count}: {words}…").format(
                limit=MOST_CHARACTERS, count=len(words), words=words[:40]
            )
        )
