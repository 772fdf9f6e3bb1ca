"""Asking the web for pages and pictures: the only place in the studio that does, safely and politely."""

import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Literal, Self
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError, SSLError
from urllib3.exceptions import TimeoutError as UrllibTimeout

from studio.collect.web.addresses import normal, site
from studio.collect.web.connections import HeaderTooLarge, Lifelines, Pools, Resolver
from studio.collect.web.manners import Manners, VisitEnded
from studio.collect.web.robots import MAX_BYTES, NO_PICTURES, Rules, directives
from studio.collect.why import Why
from studio.errors import PictureRefused
from studio.language import _

AGENT_TOKEN = "retrain-studio"  # noqa: S105 - the name by which robots rules know us

Kind = Literal["page", "picture", "service"]
_MAX_BYTES: dict[Kind, int] = {"picture": 50_000_000, "page": 10_000_000, "service": 10_000_000}
_CHUNK_BYTES = 1 << 16
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK, _NOT_MODIFIED, _BAD_REQUEST, _SERVER_FAULT = 200, 304, 400, 500
_MISSING = frozenset({404, 410})
_FORBIDDEN = frozenset({401, 403, 407, 451})
_BUSY = frozenset({429, 503})


@dataclass(frozen=True)
class Limits:
    """How much an answer may be, and how long it may take."""

    redirects: int = 5
    header_bytes: int = 65_536
    first_byte_s: float = 20.0
    """To connect, and between two pieces of an answer."""
    total_s: float = 120.0
    """For one request from its start to its last byte."""
    tries: int = 4
    """When a site says that it is too busy."""
    longest_wait_s: float = 60.0
    """A longer wait than this that a site asks for is not waited for."""


@dataclass(frozen=True)
class Answer:
    """What an address gave."""

    address: str
    """Where it came from, after redirects."""
    status: int
    """200, or 304: what was known before still holds. A service's refusals (400 to 499) come too."""
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes
    robots: str
    """What the robots rules said, in a few words."""
    robots_tags: tuple[str, ...] = ()
    """One for each X-Robots-Tag header."""


class Visitor:
    """Asks addresses, from any number of threads.

    agent: how we name ourselves. allowed_hosts: hosts that are asked although they are not public.
    connections, delay_s: for each site, at a time and between two requests. resolve: as socket.getaddrinfo.
    """

    def __init__(
        self,
        *,
        agent: str,
        allowed_hosts: frozenset[str] = frozenset(),
        connections: int = 2,
        delay_s: float = 0.5,
        limits: Limits | None = None,
        resolve: Resolver = socket.getaddrinfo,
    ) -> None:
        self.connections = connections
        self._agent = agent
        self._limits = limits or Limits()
        self._manners = Manners(connections, delay_s)
        self._lifelines = Lifelines()
        self._pools = Pools(
            connections=connections,
            allowed_hosts=allowed_hosts,
            header_bytes=self._limits.header_bytes,
            lifelines=self._lifelines,
            resolve=resolve,
        )
        self._rules = Rules(self._robots_txt, AGENT_TOKEN)
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        self.close()

    def get(
        self,
        address: str,
        *,
        kind: Kind = "picture",
        etag: str = "",
        last_modified: str = "",
        max_bytes: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask an address, and follow where it leads, with every hop checked like the first.

        kind: what is hoped for; a service is made for programs, so that its robots.txt is not asked.
        etag, last_modified: of the answer that is known already.
        Raises PictureRefused with the kind of refusal when nothing comes of it, VisitEnded after `close`.
        """
        asked = dict(headers or {})
        if etag:
            asked["If-None-Match"] = etag
        if last_modified:
            asked["If-Modified-Since"] = last_modified
        return self._follow("GET", normal(address), kind, asked, None, max_bytes or _MAX_BYTES[kind])

    def post(self, address: str, form: Mapping[str, str]) -> Answer:
        """Send a form to a service. Raises as `get`."""
        body = urlencode(form).encode()
        asked = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._follow("POST", normal(address), "service", asked, body, _MAX_BYTES["service"])

    def ready_in(self, address: str) -> float:
        """Return the seconds until an address's site may be asked again; 0 for now."""
        return self._manners.ready_in(site(address))

    def close(self) -> None:
        """End every request, now and to come: whoever waits for one gets VisitEnded."""
        self._ended.set()
        self._manners.close()
        self._lifelines.close()
        self._pools.clear()

    def _follow(
        self,
        method: str,
        address: str,
        kind: Kind,
        headers: Mapping[str, str],
        form: bytes | None,
        max_bytes: int,
    ) -> Answer:
        first = address
        robots = ""
        for _hop in range(self._limits.redirects + 1):
            if kind != "service":
                robots, delay_s = self._rules.check(_origin(address), address)
                self._manners.slow_down(site(address), delay_s)
            response, body = self._patiently(method, address, headers, form, max_bytes)
            where = response.headers.get("Location")
            if response.status in _REDIRECTS and where:
                address = normal(where, address)
                continue
            tags = tuple(response.headers.getlist("X-Robots-Tag"))
            answer = Answer(address, response.status, response.headers, body, robots, tags)
            return self._usable(answer, kind)
        raise PictureRefused(
            _("{address} leads on and on: more than {limit} redirects.").format(
                address=first, limit=self._limits.redirects
            ),
            Why.REDIRECTS,
        )

    def _usable(self, answer: Answer, kind: Kind) -> Answer:
        status, address = answer.status, answer.address
        if status in (_OK, _NOT_MODIFIED):
            forbidden = directives(answer.robots_tags, (), AGENT_TOKEN) & NO_PICTURES
            if kind == "picture" and forbidden:
                raise PictureRefused(
                    _("{address} is not taken: its X-Robots-Tag says {directive}.").format(
                        address=address, directive=", ".join(sorted(forbidden))
                    ),
                    Why.NOAI,
                )
            return answer
        if kind == "service" and _BAD_REQUEST <= status < _SERVER_FAULT:
            return answer
        if status in _MISSING:
            raise PictureRefused(
                _("{address} is not there ({status}).").format(address=address, status=status), Why.MISSING
            )
        if status in _FORBIDDEN:
            raise PictureRefused(
                _("{address} is refused by its site ({status}).").format(address=address, status=status),
                Why.FORBIDDEN,
            )
        why = Why.UNREACHABLE if status >= _SERVER_FAULT else Why.OTHER
        raise PictureRefused(
            _("{address} cannot be had: its site answered {status}.").format(address=address, status=status),
            why,
        )

    def _patiently(
        self, method: str, address: str, headers: Mapping[str, str], form: bytes | None, max_bytes: int
    ) -> tuple[urllib3.BaseHTTPResponse, bytes]:
        """Ask, and ask again when the site says that it is too busy now."""
        place = site(address)
        wait_s = 0.0
        for attempt in range(self._limits.tries):
            with self._manners.turn(place):
                response, body = self._once(method, address, headers, form, max_bytes)
            if response.status not in _BUSY:
                return response, body
            asked_s = _retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC))
            wait_s = 2.0**attempt if asked_s is None else asked_s
            self._manners.pause(place, min(wait_s, self._limits.longest_wait_s))
            if wait_s > self._limits.longest_wait_s:
                break
        raise PictureRefused(
            _("{address} cannot be had: its site is too busy ({status}) and asks to wait {wait} s.").format(
                address=address, status=response.status, wait=round(wait_s)
            ),
            Why.BUSY,
        )

    def _once(
        self, method: str, address: str, headers: Mapping[str, str], form: bytes | None, max_bytes: int
    ) -> tuple[urllib3.BaseHTTPResponse, bytes]:
        began = time.monotonic()
        self._lifelines.end = end = began + self._limits.total_s
        ask = partial(
            self._pools.urlopen,
            method,
            address,
            headers={"User-Agent": self._agent, "Accept-Encoding": "gzip, deflate", **headers},
            body=form,
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(self._limits.first_byte_s),
        )
        with self._readable(address, end):
            try:
                response = ask()
            except ProtocolError as error:
                if (
                    self._ended.is_set()
                    or time.monotonic() >= end
                    or isinstance(error.args[-1], HeaderTooLarge)
                ):
                    raise
                # A connection that was kept may have been closed by the other side in the meantime.
                response = ask()
            try:
                body = _body(response, address, max_bytes)
            except BaseException:
                response.close()
                raise
            finally:
                self._lifelines.rest()
            response.release_conn()
            return response, body

    @contextmanager
    def _readable(self, address: str, end: float) -> Iterator[None]:
        """Turn what goes wrong on the way into a sentence."""
        try:
            yield
        except PictureRefused:
            if self._ended.is_set():
                raise VisitEnded from None
            raise
        except (HTTPError, OSError, HeaderTooLarge, UnicodeError, ValueError) as error:
            if self._ended.is_set():
                raise VisitEnded from error
            raise _refusal(error, address, late=time.monotonic() >= end) from error

    def _robots_txt(self, address: str) -> bytes | None:
        for _hop in range(self._limits.redirects + 1):
            response, body = self._patiently("GET", address, {}, None, 4 * MAX_BYTES)
            where = response.headers.get("Location")
            if response.status in _REDIRECTS and where:
                address = normal(where, address)
                continue
            if response.status == _OK:
                return body
            if _BAD_REQUEST <= response.status < _SERVER_FAULT:
                return None
            break
        raise PictureRefused(_("its site answered {status}").format(status=response.status), Why.UNREACHABLE)


def _origin(address: str) -> str:
    return "/".join(address.split("/", 3)[:3])


def _body(response: urllib3.BaseHTTPResponse, address: str, max_bytes: int) -> bytes:
    """Read a body to its end, unpacked, and not a byte more than `max_bytes`, whatever its header says."""
    if (
        response.headers.get("Content-Length", "").isdigit()
        and int(response.headers["Content-Length"]) > max_bytes
    ):
        raise _too_large(address, max_bytes)
    packing = response.headers.get("Content-Encoding", "").strip().lower()
    unpack: Callable[[bytes, int], bytes] | None = None
    if packing in ("gzip", "x-gzip", "deflate"):
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # either kind of header
        unpack = unpacker.decompress
    elif packing not in ("", "identity"):
        raise PictureRefused(
            _("{address} came packed as {packing}, which was not asked for.").format(
                address=address, packing=packing
            ),
            Why.DAMAGED,
        )
    parts: list[bytes] = []
    size = 0
    for chunk in response.stream(_CHUNK_BYTES, decode_content=False):
        try:
            part = chunk if unpack is None else unpack(chunk, max_bytes - size + 1)
        except zlib.error as error:
            raise PictureRefused(
                _("{address} is damaged: it cannot be unpacked.").format(address=address), Why.DAMAGED
            ) from error
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise _too_large(address, max_bytes)
    return b"".join(parts)


def _too_large(address: str, max_bytes: int) -> PictureRefused:
    return PictureRefused(
        _("{address} is larger than {limit} MB.").format(address=address, limit=f"{max_bytes / 1e6:g}"),
        Why.TOO_LARGE,
    )


def _refusal(error: Exception, address: str, *, late: bool) -> PictureRefused:
    inner = error.args[-1] if isinstance(error, ProtocolError) and error.args else error
    if late or isinstance(error, UrllibTimeout | ReadTimeoutError | TimeoutError):
        return PictureRefused(
            _("{address} is too slow: nothing came in time.").format(address=address), Why.SLOW
        )
    if isinstance(error, HeaderTooLarge) or isinstance(inner, HeaderTooLarge):
        return PictureRefused(
            _("{address} is not read: its answer's header is too large.").format(address=address),
            Why.TOO_LARGE,
        )
    if isinstance(error, SSLError):
        said = _("{address} cannot be reached safely: its certificate is not valid for it ({why}).")
    elif isinstance(error, ProtocolError):
        said = _("{address} broke off, or did not speak HTTP ({why}).")
    else:
        said = _("{address} cannot be reached ({why}).")
    return PictureRefused(said.format(address=address, why=" ".join(str(inner).split())), Why.UNREACHABLE)


def _retry_after(value: str, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as seconds or as a date."""
    value = value.strip()
    if value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, (parsedate_to_datetime(value).astimezone(UTC) - now).total_seconds())
    except ValueError:
        return None
