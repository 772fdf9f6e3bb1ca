"""Page parser: detects HTML, feeds and sitemaps and parses them; scripts are never run."""

import re
import zlib

from studio.collect.web.feeds import FEED_ROOTS, parse_feed, root_element
from studio.collect.web.html_parser import parse_html
from studio.collect.web.page_text import decode_text
from studio.collect.web.parsed_page import ParsedPage
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.decode import accepted_format, other_format
from studio.images.skip_reasons import SkipReason

_MAX_DECOMPRESSED_BYTES = 50_000_000
_SAMPLE_BYTES = 2_000
_MAX_CONTROL_SHARE = 0.05
_CONTROLS = bytes({*range(9), *range(14, 27), *range(28, 32)})  # escape (27) occurs in Japanese text
_WIDE_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
_TEXT_FORMATS = ("HTML", "XML", "SVG", "JSON", "text")
_TAG = re.compile(r"<[a-z!?]", re.IGNORECASE)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)


def parse_page(body: bytes, content_type: str, url: str) -> ParsedPage:
    """Return the images and links of a page. url: the page's own, the base of its links.

    The format is detected by content; `content_type` only gives the charset. Raises ImageRefused when the
    body is not a page (a PDF, a binary, text without a tag), or a feed that cannot be parsed at all.
    """
    if body.startswith(b"\x1f\x8b"):
        body = _decompress(body, url)
    kind = accepted_format(body) or other_format(body)
    if kind and kind not in _TEXT_FORMATS:
        raise _not_a_page_error(url, kind)
    found = _CHARSET.search(content_type[:1_000])
    charset = found[1] if found else None
    if _is_binary(body, charset):
        raise _not_a_page_error(url, _("neither"))
    text = decode_text(body, charset)
    root, at = root_element(text)
    if root in FEED_ROOTS:
        return parse_feed(text[at:], url)
    if root == "svg" or (text.strip() and not _TAG.search(text)):
        raise _not_a_page_error(url, "SVG" if root == "svg" else kind or _("text without a tag"))
    return parse_html(text, url)


def _is_binary(body: bytes, charset: str | None) -> bool:
    head = body[:_SAMPLE_BYTES]
    if head.startswith(_WIDE_BYTE_ORDER_MARKS) or (charset or "").lower().startswith(
        ("utf-16", "utf-32", "utf16", "utf32")
    ):
        return False
    return len(head) - len(head.translate(None, _CONTROLS)) > _MAX_CONTROL_SHARE * len(head)


def _decompress(body: bytes, url: str) -> bytes:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        whole = unpacker.decompress(body, _MAX_DECOMPRESSED_BYTES + 1)
    except zlib.error as error:
        raise ImageRefused(
            _("{url} is damaged: it cannot be unpacked.").format(url=url), SkipReason.DAMAGED
        ) from error
    if len(whole) > _MAX_DECOMPRESSED_BYTES:
        raise ImageRefused(
            _("{url} is larger than {limit} MB unpacked.").format(
                url=url, limit=_MAX_DECOMPRESSED_BYTES // 1_000_000
            ),
            SkipReason.TOO_LARGE,
        )
    return whole


def _not_a_page_error(url: str, kind: str) -> ImageRefused:
    return ImageRefused(
        _("expected a page or an image; {url} is {kind}.").format(url=url, kind=kind),
        SkipReason.NOT_AN_IMAGE,
    )
