"""What a page of the web shows and leads to: HTML, feeds and sitemaps, parsed and never run."""

import re
import zlib

from studio.collect.web.feeds import ROOTS, first_element, read_feed
from studio.collect.web.html_page import read_html
from studio.collect.web.page import Reading
from studio.collect.web.urls import decoded
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.decode import admitted_format, foreign_format
from studio.images.reasons import SkipReason

_UNPACKED_BYTES = 50_000_000
_LOOKED_AT_BYTES = 2_000
_MOST_CONTROLS = 0.05
_CONTROLS = bytes({*range(9), *range(14, 27), *range(28, 32)})  # escape (27) is in Japanese text
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
_TEXTS = ("HTML", "XML", "SVG", "JSON", "text")
_TAG = re.compile(r"<[a-z!?]", re.IGNORECASE)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)


def read_page(body: bytes, content_type: str, address: str) -> Reading:
    """Return what a page shows. address: where it was found, against which its links are read.

    What it is, is told by its content; `content_type` is asked only for its letters (charset).
    Raises ImageRefused when it is no page (a PDF, a program, a text without a tag), or a feed of which
    nothing can be read.
    """
    if body.startswith(b"\x1f\x8b"):
        body = _unpacked(body, address)
    kind = admitted_format(body) or foreign_format(body)
    if kind and kind not in _TEXTS:
        raise _no_page(address, kind)
    found = _CHARSET.search(content_type[:1_000])
    charset = found[1] if found else None
    if _is_binary(body, charset):
        raise _no_page(address, _("neither"))
    text = decoded(body, charset)
    root, at = first_element(text)
    if root in ROOTS:
        return read_feed(text[at:], address)
    if root == "svg" or (text.strip() and not _TAG.search(text)):
        raise _no_page(address, "SVG" if root == "svg" else kind or _("text without a tag"))
    return read_html(text, address)


def _is_binary(body: bytes, charset: str | None) -> bool:
    head = body[:_LOOKED_AT_BYTES]
    if head.startswith(_WIDE) or (charset or "").lower().startswith(("utf-16", "utf-32", "utf16", "utf32")):
        return False
    return len(head) - len(head.translate(None, _CONTROLS)) > _MOST_CONTROLS * len(head)


def _unpacked(body: bytes, address: str) -> bytes:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        whole = unpacker.decompress(body, _UNPACKED_BYTES + 1)
    except zlib.error as error:
        raise ImageRefused(
            _("{address} is damaged: it cannot be unpacked.").format(address=address), SkipReason.DAMAGED
        ) from error
    if len(whole) > _UNPACKED_BYTES:
        raise ImageRefused(
            _("{address} is larger than {limit} MB unpacked.").format(
                address=address, limit=_UNPACKED_BYTES // 1_000_000
            ),
            SkipReason.TOO_LARGE,
        )
    return whole


def _no_page(address: str, kind: str) -> ImageRefused:
    return ImageRefused(
        _("expected a page or an image; {address} is {kind}.").format(address=address, kind=kind),
        SkipReason.NOT_AN_IMAGE,
    )
