"""Connections to public addresses only, checked when they are made, and cut off at their deadline."""

import contextlib
import http.client
import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from studio.collect.why import Why
from studio.errors import PictureRefused
from studio.language import _

Resolver = Callable[..., list[Any]]
_PORTS = frozenset({80, 443, 8080, 8443})
_LOOK_EVERY_S = 0.1
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class HeaderTooLarge(Exception):
    """An answer's header is larger than is read."""


def is_public(address: _Address) -> bool:
    """Whether an IP address is one that anybody on the internet can reach, and no way to one that is not."""
    if isinstance(address, ipaddress.IPv6Address):
        inner: _Address | None = address.ipv4_mapped or address.sixtofour
        if address.teredo:
            inner = address.teredo[1]
        elif address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local or int(address) >> 32 == 0:  # fec0::/10, and ::a.b.c.d
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


class Lifelines:
    """Holds on the sockets of all requests under way, to cut them off at their ends or all at once.

    A hold is a second handle of the same socket: shutting it down wakes whoever waits for the first, also
    in the middle of an encrypted greeting, where nobody else can reach it.
    """

    def __init__(self) -> None:
        self._ends: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        self._watch: threading.Thread | None = None
        self._mine = threading.local()
        self.closed = False

    @property
    def end(self) -> float:
        """When this thread's request is cut off, as time.monotonic counts."""
        return getattr(self._mine, "end", float("inf"))

    @end.setter
    def end(self, end: float) -> None:
        self._mine.end = end

    def hold(self, line: socket.socket) -> None:
        """Cut `line` off at this thread's end, or at once when all have been closed."""
        with self._lock:
            self._ends[line] = self.end
            if self._watch is None:
                self._watch = threading.Thread(target=self._look, daemon=True)
                self._watch.start()
            if self.closed:
                _cut(line)
        self._mine.line = line

    def rest(self) -> None:
        """Leave the socket of this thread's request alone: it waits for the next."""
        with self._lock:
            line: socket.socket | None = getattr(self._mine, "line", None)
            if line is not None:
                self._ends.pop(line, None)

    def drop(self, line: socket.socket) -> None:
        """Forget a socket that is closed."""
        with self._lock:
            self._ends.pop(line, None)
        line.close()

    def close(self) -> None:
        """Cut off all, now and to come."""
        with self._lock:
            self.closed = True
            for line in self._ends:
                _cut(line)

    def _look(self) -> None:
        while not self.closed:
            time.sleep(_LOOK_EVERY_S)
            now = time.monotonic()
            with self._lock:
                for line, end in self._ends.items():
                    if end <= now:
                        _cut(line)


def _cut(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


class Pools(urllib3.PoolManager):
    """Keep-alive connections by site, each made only to an address that has been checked.

    A host's name is looked up once for each connection, every address of the answer is checked, and the
    connection goes to what was checked: no second look-up can give another. allowed_hosts: hosts that are
    asked although they are not public, on any port. resolve: as socket.getaddrinfo.
    """

    def __init__(
        self,
        *,
        connections: int,
        allowed_hosts: frozenset[str],
        header_bytes: int,
        lifelines: Lifelines,
        resolve: Resolver = socket.getaddrinfo,
    ) -> None:
        super().__init__(num_pools=256, maxsize=connections, block=False, retries=False)
        made = {
            "allowed_hosts": allowed_hosts,
            "resolve": resolve,
            "lifelines": lifelines,
            "header_bytes": header_bytes,
        }
        self._makers = {"http": partial(_Plain, checks=made), "https": partial(_Secure, checks=made)}

    def _new_pool(self, scheme: str, host: str, port: int, request_context: Any = None) -> Any:
        pool: Any = super()._new_pool(scheme, host, port, request_context)
        pool.ConnectionCls = self._makers[scheme]
        return pool


class _Response(http.client.HTTPResponse):
    """An answer whose header is measured as a whole; the standard library limits only its lines."""

    header_bytes = 0

    def begin(self) -> None:
        whole, self.fp = self.fp, _Measured(self.fp, self.header_bytes)  # type: ignore[assignment]
        super().begin()
        if self.fp is not None:
            self.fp = whole


class _Measured:
    def __init__(self, file: Any, left: int) -> None:
        self._file, self._left = file, left

    def readline(self, limit: int) -> bytes:
        line: bytes = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise HeaderTooLarge
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Checked:
    """What both kinds of connection add: the check, the deadline, the measured header."""

    host: str
    port: int
    _line: socket.socket | None = None

    def __init__(self, *args: Any, checks: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._checks = checks
        self._lifelines: Lifelines = checks["lifelines"]
        self.response_class = type("_Sized", (_Response,), {"header_bytes": checks["header_bytes"]})

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self._line is not None:
            self._lifelines.hold(self._line)
        super().request(*args, **kwargs)  # type: ignore[misc]

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        if self._line is not None:
            self._lifelines.drop(self._line)
            self._line = None

    def _new_conn(self) -> socket.socket:
        name = self.host.strip("[]").lower()
        allowed = name in self._checks["allowed_hosts"]
        if not allowed and self.port not in _PORTS:
            raise PictureRefused(
                _("{host} is not asked on port {port}: only the usual ports are.").format(
                    host=name, port=self.port
                ),
                Why.ADDRESS,
            )
        found = self._checks["resolve"](name, self.port, type=socket.SOCK_STREAM)
        for _family, _type, _proto, _name, place in found:
            if not allowed and not is_public(ipaddress.ip_address(place[0].partition("%")[0])):
                raise PictureRefused(
                    _("{host} is not asked: {address} is not a public address.").format(
                        host=name, address=place[0]
                    ),
                    Why.ADDRESS,
                )
        fault: OSError | None = None
        for family, kind, proto, _name, place in found:
            sock = socket.socket(family, kind, proto)
            line = sock.dup()
            self._lifelines.hold(line)
            try:
                sock.settimeout(self.timeout)  # type: ignore[attr-defined]
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.connect(place)
            except OSError as error:
                self._lifelines.drop(line)
                sock.close()
                fault = error
            else:
                self._line = line
                return sock
        raise fault or OSError("no address")


class _Plain(_Checked, HTTPConnection):
    """A connection to a checked address."""


class _Secure(_Checked, HTTPSConnection):
    """A connection to a checked address, encrypted, its certificate checked by the host's name."""
