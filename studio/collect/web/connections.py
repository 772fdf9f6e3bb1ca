"""Connections to public addresses only, each checked as it is made."""

import contextlib
import errno
import http
import ipaddress
import logging
import os
import queue as queues
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import wait_for_write

from studio.collect.web.rate_limits import VisitEnded
from studio.collect.web.urls import is_public, origin
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.reasons import SkipReason

LOOK_EVERY_S = 0.1


class Life:
    """One request under way, and when it ends at the latest."""

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at
        """As time.monotonic counts."""
        self.line: socket.socket | None = None
        self.line_is_left = False
        """Whether its connection has been closed: a body without a length comes all the same."""
        self.was_cut = False
        self.took_kept = False
        """Whether it went over a connection that had been kept from an earlier one."""


class Lifelines:
    """The lives of all requests. Safe in threads; each thread has at most one at a time.

    A line is a second handle of a connection's socket: shutting it down wakes whoever waits for the first,
    also in the middle of an encrypted greeting, where nobody else can reach it.
    """

    def __init__(self) -> None:
        self._lives: set[Life] = set()
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._watch: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def closed(self) -> bool:
        """Whether all has been ended."""
        return self._closed.is_set()

    def begin(self, ends_at: float) -> Life:
        """Begin this thread's request. Raises VisitEnded when all has been ended."""
        life = Life(ends_at)
        with self._lock:
            if self.closed:
                raise VisitEnded
            self._lives.add(life)
            if self._watch is None:
                self._watch = threading.Thread(target=self._look, name="lifelines", daemon=True)
                self._watch.start()
        self._mine.life = life
        return life

    def hold(self, line: socket.socket, *, kept: bool) -> None:
        """Hold the line of this thread's request. kept: from an earlier request."""
        life: Life = self._mine.life
        with self._lock:
            _close_left(life)
            life.line, life.took_kept = line, kept
            if life.was_cut:
                _cut(life)

    def drop(self, line: socket.socket) -> None:
        """Close the line of a connection that is closed, or leave that to the request that still uses it."""
        with self._lock:  # so that no other socket with its number is cut off in its place
            for life in self._lives:
                if life.line is line:
                    life.line_is_left = True
                    return
            line.close()

    def check(self) -> None:
        """Raise VisitEnded or TimeoutError when this thread's request is over."""
        if self.closed:
            raise VisitEnded
        if self._mine.life.was_cut:
            raise TimeoutError

    def end(self, life: Life) -> bool:
        """Let go of a request's line; return whether it had to be cut off."""
        with self._lock:
            self._lives.discard(life)
            _close_left(life)
            return life.was_cut

    def close(self) -> None:
        """Cut off all, and let none begin any more."""
        with self._lock:
            self._closed.set()
            for life in self._lives:
                _cut(life)

    def _look(self) -> None:
        while not self._closed.wait(LOOK_EVERY_S):
            now = time.monotonic()
            with self._lock:
                for life in self._lives:
                    if life.ends_at <= now:
                        _cut(life)


def _close_left(life: Life) -> None:
    if life.line is not None and life.line_is_left:
        life.line.close()
        life.line_is_left = False


def _cut(life: Life) -> None:
    life.was_cut = True
    if life.line is not None:
        with contextlib.suppress(OSError):
            life.line.shutdown(socket.SHUT_RDWR)


Resolver = Callable[..., list[Any]]
"""As socket.getaddrinfo."""
_PORTS = frozenset({80, 443, 8080, 8443})
_SITES_KEPT = 64
"""How many sites' connections are kept while nothing is asked of them."""
_LONGEST_LINE = 65_536
# It prints what it thinks of odd headers: a stranger's text, which is nobody's business here.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class HeaderTooLarge(Exception):
    """An answer's header is larger than is read."""


@dataclass(frozen=True)
class Checks:
    """What every connection is held to."""

    allowed_hosts: frozenset[str]
    """Hosts that are asked although they are not public, on any port."""
    header_bytes: int
    lifelines: Lifelines
    resolve: Resolver


class Pools:
    """Keep-alive connections by site, each made only to an address that has been checked.

    A host's name is looked up once for each connection, every address of the answer is checked, and the
    connection goes to what was checked: no second look-up can give another. connections: kept for a site.
    patience_s: until something comes.
    """

    def __init__(self, connections: int, checks: Checks, *, patience_s: float) -> None:
        self._checks = checks
        self._made: dict[str, Any] = {
            "maxsize": connections,
            "timeout": urllib3.Timeout(patience_s),
            "retries": False,
        }
        self._pools: dict[str, urllib3.HTTPConnectionPool] = {}
        self._lock = threading.Lock()

    def of(self, address: str) -> urllib3.HTTPConnectionPool:
        """Return the connections to a normal address's site."""
        place = origin(address)
        with self._lock:
            pool = self._pools.pop(place, None) or self._pool(place)
            self._pools[place] = pool  # the last used stands last
            if len(self._pools) > _SITES_KEPT:
                self._pools.pop(next(iter(self._pools))).close()
            return pool

    def close(self) -> None:
        """Close all connections that are not in use."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()

    def _pool(self, place: str) -> urllib3.HTTPConnectionPool:
        parts = urlsplit(place)
        if parts.scheme == "http":
            pool = urllib3.HTTPConnectionPool(parts.hostname or "", parts.port, **self._made)
            pool.ConnectionCls = partial(_Plain, checks=self._checks)  # type: ignore[assignment]
            return pool
        pool = urllib3.HTTPSConnectionPool(
            parts.hostname or "", parts.port, ssl_context=self._trusted, **self._made
        )
        pool.ConnectionCls = partial(_Secure, checks=self._checks)  # type: ignore[assignment]
        return pool

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        # The system's certificates, and for systems that have none those that requests brings.
        trusted = ssl.create_default_context()
        trusted.load_verify_locations(certifi.where())
        return trusted


class _Response(http.client.HTTPResponse):
    """An answer whose header is measured as a whole; the standard library limits only its lines."""

    def __init__(self, *args: Any, header_bytes: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_bytes = header_bytes

    def begin(self) -> None:
        whole, measured = self.fp, _Measured(self.fp, self._header_bytes)
        self.fp = measured  # type: ignore[assignment]
        super().begin()
        if self.chunked:
            measured.left = None  # between the pieces of a body there are lines too
        elif self.fp is not None:
            self.fp = whole


class _Measured:
    """A file whose lines have an end."""

    def __init__(self, file: Any, left: int) -> None:
        self._file = file
        self.left: int | None = left
        """How many bytes of lines may still come; None: any number of lines, but none too long."""

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._file.readline(limit if limit >= 0 else _LONGEST_LINE + 1)
        if self.left is not None:
            self.left -= len(line)
        if len(line) > _LONGEST_LINE or (self.left is not None and self.left < 0):
            raise HeaderTooLarge
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Checked:
    """What both kinds of connection add: the check, the hold, the measured header."""

    host: str
    port: int
    sock: socket.socket | None
    timeout: float | None
    response_class: Any
    _line: socket.socket | None = None
    _asked = False

    def __init__(self, *args: Any, checks: Checks, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._checks = checks
        self.response_class = partial(_Response, header_bytes=checks.header_bytes)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self._line is not None and self._asked:
            self._checks.lifelines.hold(self._line, kept=True)
        self._asked = True
        super().request(*args, **kwargs)  # type: ignore[misc]

    def close(self) -> None:
        self._asked = False
        super().close()  # type: ignore[misc]
        if self._line is not None:
            self._checks.lifelines.drop(self._line)
            self._line = None

    def _new_conn(self) -> socket.socket:
        host = self.host.strip("[]").lower()
        allowed = host in self._checks.allowed_hosts
        if not allowed and self.port not in _PORTS:
            raise _refused(
                host,
                _("only ports {ports} are asked, not {port}").format(
                    ports=", ".join(map(str, sorted(_PORTS))), port=self.port
                ),
            )
        places = self._look_up(host)
        for *_how, place in places:
            if not allowed and not is_public(ipaddress.ip_address(place[0].partition("%")[0])):
                raise _refused(host, _("{address} is not a public address").format(address=place[0]))
        fault: OSError | None = None
        for family, kind, proto, _name, place in places:
            line = socket.socket(family, kind, proto)
            try:
                self._connect(line, place)
            except OSError as error:
                line.close()
                fault = error
                self._checks.lifelines.check()
            except BaseException:
                line.close()
                raise
            else:
                return line
        why = fault.strerror if fault and fault.strerror else _("it has no address")
        raise ImageRefused(
            _("{host} cannot be reached: {why}.").format(host=host, why=why), SkipReason.UNREACHABLE
        )

    def _look_up(self, host: str) -> list[Any]:
        """Return the places where a host is, without waiting longer than this request lives.

        In a thread of its own: nothing can end the system's look-up, which may take half a minute.
        """
        came: queues.SimpleQueue[list[Any] | Exception] = queues.SimpleQueue()

        def look_up() -> None:
            try:
                came.put(self._checks.resolve(host, self.port, type=socket.SOCK_STREAM))
            except Exception as fault:
                came.put(fault)

        threading.Thread(target=look_up, name="look-up", daemon=True).start()
        while True:
            try:
                found = came.get(timeout=LOOK_EVERY_S)
            except queues.Empty:
                self._checks.lifelines.check()
                continue
            if isinstance(found, list):
                return found
            raise ImageRefused(
                _("{host} cannot be reached: its name is not known.").format(host=host),
                SkipReason.UNREACHABLE,
            ) from found

    def _connect(self, line: socket.socket, place: Any) -> None:
        """Connect, a moment at a time: not every system lets a connection in the making be cut off."""
        line.setblocking(False)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = line.connect_ex(place)
        if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            while not wait_for_write(line, LOOK_EVERY_S):
                self._checks.lifelines.check()
            code = line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        line.settimeout(self.timeout)
        self._line = socket.socket(line.family, line.type, line.proto, socket.dup(line.fileno()))
        self._checks.lifelines.hold(self._line, kept=False)


class _Plain(_Checked, HTTPConnection):
    """A connection to a checked address."""


class _Secure(_Checked, HTTPSConnection):
    """A connection to a checked address, encrypted, its certificate checked by the host's name."""


def _refused(host: str, why: str) -> ImageRefused:
    return ImageRefused(
        _(
            "{host} is not asked: {why}. If it is yours, name it with --allow-host or in STUDIO_ALLOW_HOSTS."
        ).format(host=host, why=why),
        SkipReason.ADDRESS,
    )
