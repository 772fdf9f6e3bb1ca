"""Search client for Wikimedia Commons, over the MediaWiki API."""

import time
from collections.abc import Iterator
from typing import Any

from studio.collect.web.fetcher import Fetcher, FetchResult
from studio.collect.web.search_service import (
    MAX_PAGES,
    Pause,
    SearchService,
    ServiceHit,
    check_phrase_length,
    parse_json_object,
    send_query,
    single_line_text,
    valid_side_px,
    valid_url,
)
from studio.errors import SearchFailed
from studio.i18n import _
from studio.images.provenance import Provenance, licence_code, licence_name
from studio.settings import Settings

_TITLE = "Wikimedia Commons"
_PAGE_SIZE = 50
_PREVIEW_PX = 330
"""One of the widths at which Wikimedia keeps previews."""
_HTTP_OK = 200
_HTTP_FORBIDDEN = (401, 403)
_SUPPORTED_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/tiff"})
_TRIES = 5
_WAIT_S = 5.0
_MAX_WAIT_S = 60.0


class CommonsClient:
    """Client for the MediaWiki API at `url` (its `api.php`); sends one request at a time.

    contact: the contact that the user agent names, which Wikimedia requires; empty if there is none.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        url: str,
        contact: str = "",
        pause: Pause = time.sleep,
    ) -> None:
        self._fetcher, self._url, self._contact, self._pause = fetcher, url, contact, pause

    def search(self, phrase: str, *, licences: frozenset[str], min_side_px: int) -> Iterator[ServiceHit]:
        """Yield hits; see `SearchClient.search`. Commons has no licence filter: each hit is checked here."""
        check_phrase_length(phrase)
        parameters = {
            "action": "query",
            "format": "json",
            "maxlag": 5,
            "generator": "search",
            "gsrsearch": f"filetype:bitmap {phrase}",
            "gsrnamespace": 6,
            "gsrlimit": _PAGE_SIZE,
            "prop": "imageinfo",
            "iiprop": "url|extmetadata|mime|size|sha1",
            "iiurlwidth": _PREVIEW_PX,
        }
        continuation: dict[str, Any] = {}
        for _page in range(MAX_PAGES):
            content = self._request({**parameters, **continuation})
            for page in _pages_in_rank_order(content):
                hit = self._parse_hit(page, phrase, licences)
                if hit is not None and not hit.is_smaller_than(min_side_px):
                    yield hit
            previous, continuation = continuation, content.get("continue") or {}
            # A continuation that repeats itself would never end.
            if not isinstance(continuation, dict) or not continuation or continuation == previous:
                return

    def _request(self, parameters: dict[str, Any]) -> dict[str, Any]:
        busy = _("Wikimedia Commons is too busy. Search again in a while.")
        for attempt in range(_TRIES):
            response = send_query(self._fetcher, self._url, parameters, title=_TITLE, busy=busy)
            if response.status in _HTTP_FORBIDDEN:
                raise SearchFailed(self._forbidden_message(response))
            content = parse_json_object(response, _TITLE)
            error = content.get("error")
            if response.status == _HTTP_OK and not isinstance(error, dict):
                return content
            error = error if isinstance(error, dict) else {}
            if error.get("code") not in ("maxlag", "ratelimited"):
                raise SearchFailed(
                    _("Wikimedia Commons refused the search ({code}): {detail}").format(
                        code=single_line_text(error.get("code")) or response.status,
                        detail=single_line_text(error.get("info")),
                    )
                )
            if attempt < _TRIES - 1:
                self._pause(_retry_delay_s(response, attempt))
        raise SearchFailed(busy)

    def _forbidden_message(self, response: FetchResult) -> str:
        if self._contact:
            return _("Wikimedia Commons refused the search ({status}).").format(status=response.status)
        return _(
            "Wikimedia Commons refused the search ({status}): it requires a contact. Set STUDIO_CONTACT to "
            "your mail or web address."
        ).format(status=response.status)

    def _parse_hit(self, page: dict[str, Any], phrase: str, licences: frozenset[str]) -> ServiceHit | None:
        details = page.get("imageinfo")
        info = details[0] if isinstance(details, list) and details else None
        if not isinstance(info, dict) or info.get("mime") not in _SUPPORTED_TYPES:
            return None
        url = valid_url(info.get("url"), self._url)
        metadata = info.get("extmetadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        licence_address = valid_url(_metadata_text(metadata, "LicenseUrl"), self._url)
        short_name = _metadata_text(metadata, "LicenseShortName") or _metadata_text(metadata, "License")
        found_code = (
            licence_code(licence_address)
            or licence_code(short_name)
            or licence_code(_metadata_text(metadata, "License"))
        )
        if not url or (licences and found_code not in licences):
            return None
        provenance = Provenance(
            page_address=valid_url(info.get("descriptionurl"), self._url),
            title=single_line_text(page.get("title")).removeprefix("File:"),
            creator=_metadata_text(metadata, "Artist"),
            licence=licence_name(licence_address) or short_name,
            licence_address=licence_address,
        )
        preview = valid_url(info.get("thumburl"), self._url)
        return ServiceHit(
            url,
            preview,
            valid_side_px(info.get("width")),
            valid_side_px(info.get("height")),
            provenance,
            phrase,
        )


def _connect(fetcher: Fetcher, settings: Settings, pause: Pause) -> CommonsClient:
    return CommonsClient(fetcher, settings.commons_address, settings.contact, pause)


COMMONS = SearchService(name="commons", title=_TITLE, preview_kind="picture", connect=_connect)


def _pages_in_rank_order(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the pages of an answer by rank; the answer itself has no order."""
    query = content.get("query")
    pages = query.get("pages") if isinstance(query, dict) else None
    found = [page for page in pages.values() if isinstance(page, dict)] if isinstance(pages, dict) else []
    return sorted(found, key=lambda page: page["index"] if isinstance(page.get("index"), int) else 0)


def _metadata_text(extmetadata: dict[str, Any], name: str) -> str:
    value = extmetadata.get(name)
    return single_line_text(value.get("value")) if isinstance(value, dict) else ""


def _retry_delay_s(response: FetchResult, attempt: int) -> float:
    """Return the seconds until the next attempt: those of Retry-After, or doubling each time."""
    retry_after = response.headers.get("Retry-After", "")
    wait_s = float(retry_after) if retry_after.isdecimal() else _WAIT_S * 2**attempt
    return min(wait_s, _MAX_WAIT_S)
