"""Text of web pages: charset detection, and plain text on one line."""

import codecs
import html
import re

from bs4.dammit import EncodingDetector

_MAX_LINE_CHARS = 500
_MAX_INPUT_CHARS = 4_000
_TAG = re.compile(r"<[^<>]*>")
# Pages that declare the first encoding use the second; browsers decode them so.
_BROWSER_CHARSETS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
}
# Python-specific codecs that no page uses; some take very long.
_UNSUPPORTED_CODECS = frozenset(
    {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7"}
)
# Their bytes may be valid UTF-8 too, so a declaration of these is tried first.
_UNAMBIGUOUS_CODECS = ("utf-16", "utf-32", "iso2022", "hz")


def decode_text(body: bytes, charset: str | None) -> str:
    """Decode a page by its byte order mark, as UTF-8, by `charset` (of its header) or by its own declaration.

    The first encoding that fits every byte is used: declarations are often wrong, and text that decodes as
    UTF-8 is rarely anything else. If none fits, the first declared one is used with replacement characters.
    """
    body, mark = EncodingDetector.strip_byte_order_mark(body)
    declared = EncodingDetector.find_declared_encoding(body, is_html=True)
    stated = [codec for name in (mark, charset, declared) if name and (codec := _codec_name(name))]
    surely = [codec for codec in stated if codec.startswith(_UNAMBIGUOUS_CODECS)]
    for codec in (*surely, "utf-8", *stated):
        try:
            return body.decode(codec)
        except UnicodeError:
            continue
    return body.decode(stated[0] if stated else "cp1252", errors="replace")


def _codec_name(charset: str) -> str:
    try:
        name = codecs.lookup(charset).name
        "".encode(name)  # raises for codecs that are not for text: base64, zip
    except (LookupError, ValueError):
        return ""
    return "" if name in _UNSUPPORTED_CODECS else _BROWSER_CHARSETS.get(name, name)


def single_line(text: str) -> str:
    """Return a text as one printable line of at most 500 characters."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[:_MAX_INPUT_CHARS])
    short = " ".join(printable.split())
    return short if len(short) <= _MAX_LINE_CHARS else short[: _MAX_LINE_CHARS - 1] + "…"


def strip_html(text: str) -> str:
    """Return a text that may contain HTML as one printable line without tags and entities."""
    return single_line(html.unescape(_TAG.sub(" ", text[:_MAX_INPUT_CHARS])))
