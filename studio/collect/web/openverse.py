"""Searching Openverse, which knows the openly licensed images of many collections."""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from studio.collect.web import service
from studio.collect.web.fetcher import Answer, Kind, Visitor
from studio.collect.web.service import MOST_PAGES, Hit, asked, content, link, pixels, plain, refuse_long
from studio.errors import ImageRefused, SearchFailed
from studio.i18n import _
from studio.images.provenance import Provenance, licence_name, name_of_code

_PAGE_SIZE = 20
_PAGE_SIZE_WITH_KEY = 48
"""It may be 50; but of all that a search finds Openverse shows 240, and whole pages of them only."""
_OK, _REFUSED, _MISSING = 200, 401, 404
_SHOWN = frozenset({"jpg", "jpeg", "png", "webp", "gif", "tif", "tiff", "bmp"})
# What Openverse calls small, medium and large, in pixels; by its search engine's own source.
_SMALL_PIXELS, _MEDIUM_PIXELS = 640 * 480, 1600 * 900


class Openverse:
    """Openverse at `address`, asked as a client with a key where there is one, or else as a stranger."""

    preview_kind: ClassVar[Kind] = "service"  # it makes its small copies itself, for programs like this one

    def __init__(self, visitor: Visitor, address: str, client_id: str = "", secret: str = "") -> None:
        self._visitor, self._address = visitor, address.rstrip("/")
        self._id, self._secret = client_id, secret
        self._token = ""

    def find(self, words: str, *, licences: frozenset[str], min_side_px: int) -> Iterator[Hit]:
        """Yield images as `Service.find` says."""
        refuse_long(words)
        # Nothing is said of `mature`: it is false by itself, and Openverse has taken any word for yes.
        parameters: dict[str, Any] = {
            "q": words,
            "page_size": _PAGE_SIZE_WITH_KEY if self._has_key else _PAGE_SIZE,
        }
        if licences:
            parameters["license"] = ",".join(sorted(licences))
        if sizes := _sizes(min_side_px):
            parameters["size"] = sizes
        page, pages = 1, 1
        while page <= min(pages, MOST_PAGES):
            answer = self._ask({**parameters, "page": page})
            if page > 1 and answer.status in (_REFUSED, _MISSING):
                return  # deeper than it shows, whatever it said of its pages
            found = self._content(answer)
            results = found.get("results")
            for result in results if isinstance(results, list) else ():
                hit = _hit(result, words) if isinstance(result, dict) else None
                if hit is not None and not hit.is_smaller_than(min_side_px):
                    yield hit
            pages = found["page_count"] if isinstance(found.get("page_count"), int) else 0
            page += 1

    @property
    def _has_key(self) -> bool:
        return bool(self._id and self._secret)

    def _ask(self, parameters: dict[str, Any]) -> Answer:
        if not self._has_key:
            return self._asked(parameters)
        self._token = self._token or self._new_token()
        answer = self._asked(parameters)
        if answer.status == _REFUSED:  # tokens last some hours
            self._token = self._new_token()
            answer = self._asked(parameters)
        return answer

    def _asked(self, parameters: dict[str, Any]) -> Answer:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return asked(
            self._visitor,
            f"{self._address}/v1/images/",
            parameters,
            name="Openverse",
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
            answer = self._visitor.post(f"{self._address}/v1/auth_tokens/token/", form)
        except ImageRefused as refusal:
            raise service.failure(refusal, name="Openverse", busy=self._busy) from refusal
        token = content(answer, "Openverse").get("access_token") if answer.status == _OK else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise SearchFailed(
                _(
                    "Openverse does not know this key ({status}). Check STUDIO_OPENVERSE_ID and "
                    "STUDIO_OPENVERSE_SECRET, or leave both out to search without one."
                ).format(status=answer.status)
            )
        return token

    @property
    def _busy(self) -> str:
        if self._has_key:
            return _("Openverse has been asked too often and wants a pause. Search again in a while.")
        return _(
            "Openverse has been asked too often: without a key it answers 5 requests an hour and 100 a day. "
            "Search again later, or get a key at {address} (it costs nothing) and set STUDIO_OPENVERSE_ID "
            "and STUDIO_OPENVERSE_SECRET."
        ).format(address=f"{self._address}/v1/#tag/auth")

    def _content(self, answer: Answer) -> dict[str, Any]:
        found = content(answer, "Openverse")
        if answer.status == _OK:
            return found
        raise SearchFailed(
            _("Openverse refused the search ({status}): {detail}").format(
                status=answer.status, detail=_detail(found)
            )
        )


def _detail(found: dict[str, Any]) -> str:
    detail = found.get("detail", found.get("error", ""))
    said = plain(detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False))
    fields = found.get("fields")
    named = ", ".join(plain(field) for field in fields) if isinstance(fields, list) else ""
    return f"{said} ({named})" if named else said


def _sizes(min_side_px: int) -> str:
    """Return the sizes to ask for, where some hold no image whose shorter side is long enough."""
    if min_side_px**2 >= _MEDIUM_PIXELS:
        return "large"
    return "medium,large" if min_side_px**2 >= _SMALL_PIXELS else ""


def _hit(result: dict[str, Any], words: str) -> Hit | None:
    address = link(result.get("url"))
    format_name = result.get("filetype")
    unseen = isinstance(format_name, str) and format_name.lower() not in _SHOWN
    if not address or unseen or result.get("mature") is True:
        return None
    licence_address = link(result.get("license_url"))
    provenance = Provenance(
        page_address=link(result.get("foreign_landing_url")),
        title=plain(result.get("title")),
        creator=plain(result.get("creator")),
        licence=licence_name(licence_address) or _licence(result),
        licence_address=licence_address,
    )
    return Hit(
        address,
        link(result.get("thumbnail")),
        pixels(result.get("width")),
        pixels(result.get("height")),
        provenance,
        words,
    )


def _licence(result: dict[str, Any]) -> str:
    code, version = plain(result.get("license")).lower(), plain(result.get("license_version"))
    return f"{name_of_code(code)} {version}".strip() if code else ""
