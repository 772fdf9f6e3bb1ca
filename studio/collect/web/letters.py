"""From a stranger's bytes to text, and from text to one line that can be kept and shown."""

import codecs
import html
import re

from bs4.dammit import EncodingDetector

from studio.collect.web.addresses import normal
from studio.errors import PictureRefused

_LONGEST_LINE = 500
_LONGEST_LOOKED_AT = 4_000
_TAG = re.compile(r"<[^<>]*>")
# What pages call the first they write in the second, and browsers read them so.
_REALLY = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
}
# Python's own, no page's: some of them take for ever.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7"})
# Their bytes may look like UTF-8.
_UNLIKE = ("utf-16", "utf-32", "iso2022", "hz")


def decoded(body: bytes, charset: str | None) -> str:
    """Return a page's text, by its byte order mark, UTF-8, `charset` (its header's), or what it says itself.

    The first that fits every byte, since what is stated is often wrong and what reads as UTF-8 seldom is
    anything else; where none does, what was stated first, with marks for what does not fit.
    """
    body, mark = EncodingDetector.strip_byte_order_mark(body)
    declared = EncodingDetector.find_declared_encoding(body, is_html=True)
    stated = [codec for name in (mark, charset, declared) if name and (codec := _codec(name))]
    surely = [codec for codec in stated if codec.startswith(_UNLIKE)]
    for codec in (*surely, "utf-8", *stated):
        try:
            return body.decode(codec)
        except UnicodeError:
            continue
    return body.decode(stated[0] if stated else "cp1252", errors="replace")


def _codec(charset: str) -> str:
    try:
        name = codecs.lookup(charset).name
        "".encode(name)  # some are no text's: base64, zip
    except (LookupError, ValueError):
        return ""
    return "" if name in _NO_CHARSETS else _REALLY.get(name, name)


def line(text: str) -> str:
    """Return a text as one line of at most 500 characters that can be printed."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST_LOOKED_AT])
    short = " ".join(printable.split())
    return short if len(short) <= _LONGEST_LINE else short[: _LONGEST_LINE - 1] + "…"


def plain(text: str) -> str:
    """Return a text that may hold HTML as one line without it."""
    return line(html.unescape(_TAG.sub(" ", text[:_LONGEST_LOOKED_AT])))


def joined(reference: str | None, base: str) -> str | None:
    """Return what a reference on a page leads to, in its normal form; None for nothing to ask for."""
    if not reference or not reference.strip():
        return None
    try:
        return normal(reference, base)
    except (PictureRefused, UnicodeError):  # JSON can hold halves of letters, which no address can
        return None
