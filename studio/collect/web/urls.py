"""Addresses on the web in one normal form, so that what is checked is what is asked."""

import codecs
import html
import ipaddress
import re
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import idna
from bs4.dammit import EncodingDetector

from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.reasons import SkipReason

LONGEST = 2_000
_LONGEST_SHOWN = 200
_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65_535
# As browsers do: what surrounds an address, and line ends and tabs inside it, are not part of it.
_AROUND = "".join(map(chr, range(0x21)))
_INSIDE = re.compile(r"[\t\r\n]")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_DOT = re.compile(r"%2e", re.IGNORECASE)
_SAFE_PATH = "/%:@!$&'()*+,;=-._~"
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# Not public, although the standard library takes them for it or does so in its older versions:
# 192.0.0.192 and 168.63.129.16 answer inside Oracle's and Microsoft's clouds, the third is for documents.
_NOT_PUBLIC = (
    ipaddress.IPv4Network("192.0.0.0/24"),
    ipaddress.IPv4Network("168.63.129.16/32"),
    ipaddress.IPv6Network("3fff::/20"),
)


def normal(address: str, base: str = "") -> str:
    """Return an address as an absolute http or https one, without fragment, everything in its plainest form.

    base: the page that names it. Raises ImageRefused for anything that is not surely such an address: other
    schemes, user names and passwords, backslashes, numbers that stand for an IP address in other than the
    usual form, more than 2,000 characters.
    """
    text = _INSIDE.sub("", address.strip(_AROUND))
    if len(text) > LONGEST:
        raise _too_long(address)
    try:
        parts = urlsplit(urljoin(base, text) if base else text)
        port = parts.port
    except ValueError as error:
        raise _refused(address, _("it cannot be read")) from error
    if parts.scheme not in _PORTS:
        raise _refused(address, _("it does not begin with http:// or https://"))
    if "\\" in text or "@" in parts.netloc:
        raise _refused(address, _("it holds a user name or a backslash"))
    host = _host(parts.hostname or "", address)
    if port is not None and not 1 <= port <= _HIGHEST_PORT:
        raise _refused(address, _("its port is not one"))
    netloc = host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"
    try:
        path = _plain_path(quote(parts.path, safe=_SAFE_PATH))
        query = quote(parts.query, safe=_SAFE_PATH + "?[]")
    except UnicodeError as error:  # halves of letters
        raise _refused(address, _("it cannot be read")) from error
    whole = urlunsplit((parts.scheme, netloc, path, query, ""))
    if len(whole) > LONGEST:
        raise _too_long(address)
    return whole


def site(address: str) -> str:
    """Return whom a normal address belongs to: its host, with the port where that is not the usual one."""
    return address.split("/", 3)[2]


def origin(address: str) -> str:
    """Return a normal address's scheme and site, as in https://example.org."""
    return "/".join(address.split("/", 3)[:3])


def shown(text: str) -> str:
    """Return a stranger's text as one that can stand in a sentence: printable, and not too long."""
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def is_public(address: IPAddress) -> bool:
    """Whether an IP address is one that anybody on the internet can reach, and no way to one that is not."""
    if isinstance(address, ipaddress.IPv6Address):
        inner: IPAddress | None = address.ipv4_mapped or address.sixtofour
        if address.teredo:
            inner = address.teredo[1]
        elif address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    if any(address.version == network.version and address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _plain_path(path: str) -> str:
    """Return a path without `.` and `..`: rules for /a/../b are those for /b."""
    if "/." not in path and "%2" not in path:
        return path or "/"
    kept: list[str] = []
    pieces = [_DOT.sub(".", piece) for piece in path.split("/")[1:]]
    for piece in pieces:
        if piece == "..":
            del kept[-1:]
        elif piece != ".":
            kept.append(piece)
    if pieces[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _host(host: str, address: str) -> str:
    if ":" in host:
        try:
            return f"[{ipaddress.IPv6Address(host if '%' not in host else '')}]"  # no zones: they are local
        except ValueError as error:
            raise _refused(address, _("its host is not a name")) from error
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode()
    except UnicodeError as error:
        raise _refused(address, _("its host is not a name")) from error
    name = name.lower().removesuffix(".")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        # 2130706433, 0177.0.0.1 and 127.1 are all 127.0.0.1 to some: only the usual form is read.
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError as error:
            raise _refused(address, _("its host is a number in an unusual form")) from error
    if not _NAME.fullmatch(name):
        raise _refused(address, _("its host is not a name"))
    return name


def _too_long(address: str) -> ImageRefused:
    return _refused(address, _("it is longer than {limit} characters").format(limit=f"{LONGEST:,}"))


def _refused(address: str, why: str) -> ImageRefused:
    return ImageRefused(
        _(
            "expected a public web address such as https://example.org/; {address} is not asked: {why}."
        ).format(address=shown(address), why=why),
        SkipReason.ADDRESS,
    )


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
    except (ImageRefused, UnicodeError):  # JSON can hold halves of letters, which no address can
        return None
