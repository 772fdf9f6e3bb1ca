"""Addresses on the web in one normal form, so that what is checked is what is asked."""

import ipaddress
import re
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import idna

from studio.collect.why import Why
from studio.errors import PictureRefused
from studio.language import _

LONGEST = 2_000
_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65_535
# As browsers do: what surrounds an address, and line ends and tabs inside it, are not part of it.
_AROUND = "".join(map(chr, range(0x21)))
_INSIDE = re.compile(r"[\t\r\n]")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_SAFE_PATH = "/%:@!$&'()*+,;=-._~"


def normal(address: str, base: str = "") -> str:
    """Return an address as an absolute http or https one, without fragment, everything in its plainest form.

    base: the page that names it. Raises PictureRefused for anything that is not surely such an address: other
    schemes, user names and passwords, backslashes, numbers that stand for an IP address in other than the
    usual form, more than 2,000 characters.
    """
    text = _INSIDE.sub("", address.strip(_AROUND))
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
    path = quote(parts.path or "/", safe=_SAFE_PATH)
    query = quote(parts.query, safe=_SAFE_PATH + "?[]")
    whole = urlunsplit((parts.scheme, netloc, path, query, ""))
    if len(whole) > LONGEST:
        raise _refused(address[:80] + "…", _("it is longer than {limit} characters").format(limit=LONGEST))
    return whole


def site(address: str) -> str:
    """Return whom a normal address belongs to: its host, with the port where that is not the usual one."""
    return address.split("/", 3)[2]


def host_and_port(address: str) -> tuple[str, int]:
    """Return a normal address's host, without the brackets of IPv6, and its port."""
    parts = urlsplit(address)
    return parts.hostname or "", parts.port or _PORTS[parts.scheme]


def _host(host: str, address: str) -> str:
    if ":" in host:
        try:
            return f"[{ipaddress.IPv6Address(host)}]"
        except ValueError as error:
            raise _refused(address, _("its host is not a name")) from error
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode()
    except idna.IDNAError as error:
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


def _refused(address: str, why: str) -> PictureRefused:
    return PictureRefused(
        _(
            "expected a public web address such as https://example.org/; {address} is not asked: {why}."
        ).format(address=address, why=why),
        Why.ADDRESS,
    )
