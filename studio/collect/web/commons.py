"""Searching Wikimedia Commons, by the interface that MediaWiki has for programs."""

import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from studio.collect.web.fetcher import Answer, Kind, Visitor
from studio.collect.web.service import MOST_PAGES, Hit, asked, content, link, pixels, plain, refuse_long
from studio.errors import SearchFailed
from studio.i18n import _
from studio.images.provenance import Provenance, code, licence_name

_PAGE_SIZE = 50
_PREVIEW_PX = 330
"""One of the widths that Wikimedia keeps small copies in."""
_OK = 200
_FORBIDDEN = (401, 403)
_SHOWN = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/tiff"})
_TRIES = 5
_WAIT_S = 5.0
_LONGEST_WAIT_S = 60.0


class Commons:
    """Wikimedia Commons at `address`, its `api.php`; asked one thing after the other.

    contact: whether the visitor's agent names one, as Wikimedia wants it. pause: waits for so many seconds.
    """

    preview_kind: ClassVar[Kind] = "picture"

    def __init__(
        self,
        visitor: Visitor,
        address: str,
        contact: str = "",
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._visitor, self._address, self._contact, self._pause = visitor, address, contact, pause

    def find(self, words: str, *, licences: frozenset[str], min_side_px: int) -> Iterator[Hit]:
        """Yield images as `Service.find` says."""
        refuse_long(words)
        parameters = {
            "action": "query",
            "format": "json",
            "maxlag": 5,
            "generator": "search",
            "gsrsearch": f"filetype:bitmap {words}",
            "gsrnamespace": 6,
            "gsrlimit": _PAGE_SIZE,
            "prop": "imageinfo",
            "iiprop": "url|extmetadata|mime|size|sha1",
            "iiurlwidth": _PREVIEW_PX,
        }
        going_on: dict[str, Any] = {}
        for _page in range(MOST_PAGES):
            found = self._ask({**parameters, **going_on})
            for page in _in_order(found):
                hit = self._hit(page, words, licences)
                if hit is not None and not hit.is_smaller_than(min_side_px):
                    yield hit
            before, going_on = going_on, found.get("continue") or {}
            # What goes on at the same place would do so for ever.
            if not isinstance(going_on, dict) or not going_on or going_on == before:
                return

    def _ask(self, parameters: dict[str, Any]) -> dict[str, Any]:
        busy = _("Wikimedia Commons is too busy and wants a pause. Search again in a while.")
        for attempt in range(_TRIES):
            answer = asked(self._visitor, self._address, parameters, name="Wikimedia Commons", busy=busy)
            if answer.status in _FORBIDDEN:
                raise SearchFailed(self._forbidden(answer))
            found = content(answer, "Wikimedia Commons")
            error = found.get("error")
            if answer.status == _OK and not isinstance(error, dict):
                return found
            error = error if isinstance(error, dict) else {}
            if error.get("code") not in ("maxlag", "ratelimited"):
                raise SearchFailed(
                    _("Wikimedia Commons refused the search ({code}): {detail}").format(
                        code=plain(error.get("code")) or answer.status, detail=plain(error.get("info"))
                    )
                )
            if attempt < _TRIES - 1:
                self._pause(_wait_s(answer, attempt))
        raise SearchFailed(busy)

    def _forbidden(self, answer: Answer) -> str:
        if self._contact:
            return _("Wikimedia Commons refused the search ({status}).").format(status=answer.status)
        return _(
            "Wikimedia Commons refused the search ({status}): it wants to know whom to write to. Set "
            "STUDIO_CONTACT to your mail or web address."
        ).format(status=answer.status)

    def _hit(self, page: dict[str, Any], words: str, licences: frozenset[str]) -> Hit | None:
        details = page.get("imageinfo")
        info = details[0] if isinstance(details, list) and details else None
        if not isinstance(info, dict) or info.get("mime") not in _SHOWN:
            return None
        address = link(info.get("url"), self._address)
        said = info.get("extmetadata")
        said = said if isinstance(said, dict) else {}
        licence_address = link(_said(said, "LicenseUrl"), self._address)
        short = _said(said, "LicenseShortName") or _said(said, "License")
        known = code(licence_address) or code(short) or code(_said(said, "License"))
        if not address or (licences and known not in licences):
            return None
        provenance = Provenance(
            page_address=link(info.get("descriptionurl"), self._address),
            title=plain(page.get("title")).removeprefix("File:"),
            creator=_said(said, "Artist"),
            licence=licence_name(licence_address) or short,
            licence_address=licence_address,
        )
        preview = link(info.get("thumburl"), self._address)
        return Hit(address, preview, pixels(info.get("width")), pixels(info.get("height")), provenance, words)


def _in_order(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an answer's pages by their place in the search; the answer has them in none."""
    query = found.get("query")
    pages = query.get("pages") if isinstance(query, dict) else None
    some = [page for page in pages.values() if isinstance(page, dict)] if isinstance(pages, dict) else []
    return sorted(some, key=lambda page: page["index"] if isinstance(page.get("index"), int) else 0)


def _said(extmetadata: dict[str, Any], name: str) -> str:
    value = extmetadata.get(name)
    return plain(value.get("value")) if isinstance(value, dict) else ""


def _wait_s(answer: Answer, attempt: int) -> float:
    """Return how long to wait before asking again: as long as is asked for, or longer each time."""
    asked_for = answer.headers.get("Retry-After", "")
    wait_s = float(asked_for) if asked_for.isdecimal() else _WAIT_S * 2**attempt
    return min(wait_s, _LONGEST_WAIT_S)
