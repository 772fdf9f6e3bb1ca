"""URL normalisation and checks: the URL that is checked is the one that is requested."""

import ipaddress
import re
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import idna

from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.skip_reasons import SkipReason

MAX_URL_CHARS = 2_000
_MAX_SHOWN_CHARS = 200
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65_535
# As in browsers: surrounding white space, and line ends and tabs inside, are not part of a URL.
_STRIPPED = "".join(map(chr, range(0x21)))
_REMOVED = re.compile(r"[\t\r\n]")
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMERIC_LABEL = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_ENCODED_DOT = re.compile(r"%2e", re.IGNORECASE)
_SAFE_PATH = "/%:@!$&'()*+,;=-._~"
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# Not public, although (older versions of) the standard library say so: 192.0.0.192 and 168.63.129.16 serve
# metadata inside Oracle's and Microsoft's clouds; the third is for documentation.
_NOT_PUBLIC = (
    ipaddress.IPv4Network("192.0.0.0/24"),
    ipaddress.IPv4Network("168.63.129.16/32"),
    ipaddress.IPv6Network("3fff::/20"),
)


def normalise_url(url: str, base: str = "") -> str:
    """Return a URL as an absolute http or https URL in normal form, without its fragment.

    base: the page that refers to it. Raises ImageRefused for anything else: other schemes, user names and
    passwords, backslashes, IP addresses in an unusual notation, more than 2,000 characters.
    """
    text = _REMOVED.sub("", url.strip(_STRIPPED))
    if len(text) > MAX_URL_CHARS:
        raise _too_long_error(url)
    try:
        parts = urlsplit(urljoin(base, text) if base else text)
        port = parts.port
    except ValueError as error:
        raise _invalid_url_error(url, _("it cannot be read")) from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise _invalid_url_error(url, _("it does not begin with http:// or https://"))
    if "\\" in text or "@" in parts.netloc:
        raise _invalid_url_error(url, _("it holds a user name or a backslash"))
    host = _normalise_host(parts.hostname or "", url)
    if port is not None and not 1 <= port <= _MAX_PORT:
        raise _invalid_url_error(url, _("its port is not one"))
    netloc = host if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{host}:{port}"
    try:
        path = _remove_dot_segments(quote(parts.path, safe=_SAFE_PATH))
        query = quote(parts.query, safe=_SAFE_PATH + "?[]")
    except UnicodeError as error:  # unpaired surrogates
        raise _invalid_url_error(url, _("it cannot be read")) from error
    whole = urlunsplit((parts.scheme, netloc, path, query, ""))
    if len(whole) > MAX_URL_CHARS:
        raise _too_long_error(url)
    return whole


def site_of(url: str) -> str:
    """Return the host of a normalised URL, with its port if that is not the default one."""
    return url.split("/", 3)[2]


def origin_of(url: str) -> str:
    """Return scheme and site of a normalised URL, as in https://example.org."""
    return "/".join(url.split("/", 3)[:3])


def printable(text: str) -> str:
    """Return untrusted text for use in a message: printable and truncated."""
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return text if len(text) <= _MAX_SHOWN_CHARS else text[: _MAX_SHOWN_CHARS - 1] + "…"


def is_public(ip: IPAddress) -> bool:
    """Return whether an IP address is publicly routable, also after unwrapping IPv4 inside IPv6."""
    if isinstance(ip, ipaddress.IPv6Address):
        inner: IPAddress | None = ip.ipv4_mapped or ip.sixtofour
        if ip.teredo:
            inner = ip.teredo[1]
        elif ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if ip not in _GLOBAL_UNICAST:
            return False
    if any(ip.version == network.version and ip in network for network in _NOT_PUBLIC):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


def _remove_dot_segments(path: str) -> str:
    """Return a path without `.` and `..`, so that robots rules for /b apply to /a/../b."""
    if "/." not in path and "%2" not in path:
        return path or "/"
    kept: list[str] = []
    pieces = [_ENCODED_DOT.sub(".", piece) for piece in path.split("/")[1:]]
    for piece in pieces:
        if piece == "..":
            del kept[-1:]
        elif piece != ".":
            kept.append(piece)
    if pieces[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _normalise_host(host: str, url: str) -> str:
    if ":" in host:
        try:
            return f"[{ipaddress.IPv6Address(host if '%' not in host else '')}]"  # without zone id
        except ValueError as error:
            raise _invalid_url_error(url, _("its host is not a name")) from error
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode()
    except UnicodeError as error:
        raise _invalid_url_error(url, _("its host is not a name")) from error
    name = name.lower().removesuffix(".")
    if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        # Some programs read 2130706433, 0177.0.0.1 and 127.1 as 127.0.0.1: only dotted decimal is accepted.
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError as error:
            raise _invalid_url_error(url, _("its host is a number in an unusual form")) from error
    if not _HOST_NAME.fullmatch(name):
        raise _invalid_url_error(url, _("its host is not a name"))
    return name


def _too_long_error(url: str) -> ImageRefused:
    return _invalid_url_error(
        url, _("it is longer than {limit} characters").format(limit=f"{MAX_URL_CHARS:,}")
    )


def _invalid_url_error(url: str, why: str) -> ImageRefused:
    return ImageRefused(
        _("expected a public URL such as https://example.org/; {url} is not fetched: {why}.").format(
            url=printable(url), why=why
        ),
        SkipReason.ADDRESS,
    )


def resolve_url(reference: str | None, base: str) -> str | None:
    """Return the normalised URL of a reference on a page, or None if it cannot be fetched."""
    if not reference or not reference.strip():
        return None
    try:
        return normalise_url(reference, base)
    except (ImageRefused, UnicodeError):  # JSON may contain unpaired surrogates
        return None
