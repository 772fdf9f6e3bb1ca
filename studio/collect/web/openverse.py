"""Search client for Openverse, an index of openly licensed images from many collections."""

import json
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
    search_error,
    send_query,
    single_line_text,
    valid_side_px,
    valid_url,
)
from studio.errors import ImageRefused, SearchFailed
from studio.i18n import _
from studio.images.provenance import Provenance, licence_code_name, licence_name
from studio.settings import Settings

_TITLE = "Openverse"
_PAGE_SIZE = 20
_PAGE_SIZE_WITH_KEY = 48
"""Openverse allows 50, but serves only whole pages among the first 240 hits; 48 divides 240."""
_HTTP_OK, _HTTP_UNAUTHORIZED, _HTTP_NOT_FOUND = 200, 401, 404
_SUPPORTED_TYPES = frozenset({"jpg", "jpeg", "png", "webp", "gif", "tif", "tiff", "bmp"})
# Openverse's limits between small, medium and large, in pixels, from its source.
_SMALL_PIXELS, _MEDIUM_PIXELS = 640 * 480, 1600 * 900


class OpenverseClient:
    """Client for the Openverse instance at `url`, with an API key or anonymous."""

    def __init__(self, fetcher: Fetcher, url: str, client_id: str = "", secret: str = "") -> None:
        self._fetcher, self._url = fetcher, url.rstrip("/")
        self._id, self._secret = client_id, secret
        self._token = ""

    def search(self, phrase: str, *, licences: frozenset[str], min_side_px: int) -> Iterator[ServiceHit]:
        """Yield hits; see `SearchClient.search`. Openverse filters by licence."""
        check_phrase_length(phrase)
        # `mature` is not sent: its default is false, and Openverse has read any value as true.
        parameters: dict[str, Any] = {
            "q": phrase,
            "page_size": _PAGE_SIZE_WITH_KEY if self._has_key else _PAGE_SIZE,
        }
        if licences:
            parameters["license"] = ",".join(sorted(licences))
        if sizes := _size_filter(min_side_px):
            parameters["size"] = sizes
        page, pages = 1, 1
        while page <= min(pages, MAX_PAGES):
            response = self._request({**parameters, "page": page})
            if page > 1 and response.status in (_HTTP_UNAUTHORIZED, _HTTP_NOT_FOUND):
                return  # beyond the last page it serves, whatever page_count said
            content = self._content(response)
            results = content.get("results")
            for result in results if isinstance(results, list) else ():
                hit = _parse_hit(result, phrase) if isinstance(result, dict) else None
                if hit is not None and not hit.is_smaller_than(min_side_px):
                    yield hit
            pages = content["page_count"] if isinstance(content.get("page_count"), int) else 0
            page += 1

    @property
    def _has_key(self) -> bool:
        return bool(self._id and self._secret)

    def _request(self, parameters: dict[str, Any]) -> FetchResult:
        if not self._has_key:
            return self._send(parameters)
        self._token = self._token or self._new_token()
        response = self._send(parameters)
        if response.status == _HTTP_UNAUTHORIZED:  # tokens expire after some hours
            self._token = self._new_token()
            response = self._send(parameters)
        return response

    def _send(self, parameters: dict[str, Any]) -> FetchResult:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return send_query(
            self._fetcher,
            f"{self._url}/v1/images/",
            parameters,
            title=_TITLE,
            busy=self._busy,
            headers={"Accept": "application/json", **headers},
        )

    def _new_token(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._id,
            "client_secret": self._secret,
        }
        try:
            response = self._fetcher.post(f"{self._url}/v1/auth_tokens/token/", form)
        except ImageRefused as error:
            raise search_error(error, title=_TITLE, busy=self._busy) from error
        content = parse_json_object(response, _TITLE) if response.status == _HTTP_OK else {}
        token = content.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise SearchFailed(
                _(
                    "Openverse does not know this key ({status}). Check STUDIO_OPENVERSE_ID and "
                    "STUDIO_OPENVERSE_SECRET, or leave both out to search without one."
                ).format(status=response.status)
            )
        return token

    @property
    def _busy(self) -> str:
        if self._has_key:
            return _("Openverse has received too many requests. Search again in a while.")
        return _(
            "Openverse has received too many requests: without a key it allows 5 requests an hour and "
            "100 a day. Search again later, or get a free key at {url} and set STUDIO_OPENVERSE_ID and "
            "STUDIO_OPENVERSE_SECRET."
        ).format(url=f"{self._url}/v1/#tag/auth")

    def _content(self, response: FetchResult) -> dict[str, Any]:
        content = parse_json_object(response, _TITLE)
        if response.status == _HTTP_OK:
            return content
        raise SearchFailed(
            _("Openverse refused the search ({status}): {detail}").format(
                status=response.status, detail=_error_detail(content)
            )
        )


def _connect(fetcher: Fetcher, settings: Settings, pause: Pause) -> OpenverseClient:
    return OpenverseClient(
        fetcher, settings.openverse_address, settings.openverse_id, settings.openverse_secret
    )


OPENVERSE = SearchService(
    name="openverse",
    title=_TITLE,
    preview_kind="service",  # Openverse makes its previews for programs
    connect=_connect,
)


def _error_detail(content: dict[str, Any]) -> str:
    detail = content.get("detail", content.get("error", ""))
    text = single_line_text(detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False))
    fields = content.get("fields")
    names = ", ".join(single_line_text(field) for field in fields) if isinstance(fields, list) else ""
    return f"{text} ({names})" if names else text


def _size_filter(min_side_px: int) -> str:
    """Return the value of `size`, or empty when every size may hold an image that is large enough.

    A size filter also hides images of unknown size.
    """
    if min_side_px**2 >= _MEDIUM_PIXELS:
        return "large"
    return "medium,large" if min_side_px**2 >= _SMALL_PIXELS else ""


def _parse_hit(result: dict[str, Any], phrase: str) -> ServiceHit | None:
    url = valid_url(result.get("url"))
    format_name = result.get("filetype")
    is_unsupported = isinstance(format_name, str) and format_name.lower() not in _SUPPORTED_TYPES
    if not url or is_unsupported or result.get("mature") is True:
        return None
    licence_address = valid_url(result.get("license_url"))
    provenance = Provenance(
        page_address=valid_url(result.get("foreign_landing_url")),
        title=single_line_text(result.get("title")),
        creator=single_line_text(result.get("creator")),
        licence=licence_name(licence_address) or _licence_text(result),
        licence_address=licence_address,
    )
    return ServiceHit(
        url,
        valid_url(result.get("thumbnail")),
        valid_side_px(result.get("width")),
        valid_side_px(result.get("height")),
        provenance,
        phrase,
    )


def _licence_text(result: dict[str, Any]) -> str:
    code, version = (
        single_line_text(result.get("license")).lower(),
        single_line_text(result.get("license_version")),
    )
    return f"{licence_code_name(code)} {version}".strip() if code else ""
