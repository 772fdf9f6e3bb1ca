"""HTTP connection pools whose connections go to checked, public IP addresses only."""

import errno
import http
import ipaddress
import logging
import os
import queue as queues
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import wait_for_write

from studio.collect.web.deadlines import POLL_S, DeadlineWatcher
from studio.collect.web.urls import is_public, origin_of
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.skip_reasons import SkipReason

Resolver = Callable[..., list[Any]]
"""Has the signature of socket.getaddrinfo."""
_ALLOWED_PORTS = frozenset({80, 443, 8080, 8443})
_MAX_IDLE_SITES = 64
"""Sites whose idle connections are kept open."""
_MAX_LINE_BYTES = 65_536
# It logs warnings about unusual headers, with untrusted text in them.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class HeaderTooLarge(Exception):
    """The header of a response is larger than the limit."""


@dataclass(frozen=True)
class ConnectionPolicy:
    """Rules that every connection keeps."""

    allowed_hosts: frozenset[str]
    """Hosts that may be private, on any port."""
    header_bytes: int
    """Size limit of a response's header."""
    deadlines: DeadlineWatcher
    resolve: Resolver


class ConnectionPools:
    """Pools of keep-alive connections by origin, each connected to a checked IP address.

    A host name is resolved once per connection, every address of the answer is checked, and the connection
    goes to one of these: a second look-up that gives another address cannot happen. connections: kept open
    per origin. read_timeout_s: until the next byte.
    """

    def __init__(self, connections: int, policy: ConnectionPolicy, *, read_timeout_s: float) -> None:
        self._policy = policy
        self._pool_options: dict[str, Any] = {
            "maxsize": connections,
            "timeout": urllib3.Timeout(read_timeout_s),
            "retries": False,
        }
        self._pools: dict[str, urllib3.HTTPConnectionPool] = {}
        self._lock = threading.Lock()

    def for_url(self, url: str) -> urllib3.HTTPConnectionPool:
        """Return the pool for the origin of a normalised URL."""
        origin = origin_of(url)
        with self._lock:
            pool = self._pools.pop(origin, None) or self._new_pool(origin)
            self._pools[origin] = pool  # ordered by last use
            if len(self._pools) > _MAX_IDLE_SITES:
                self._pools.pop(next(iter(self._pools))).close()
            return pool

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()

    def _new_pool(self, origin: str) -> urllib3.HTTPConnectionPool:
        parts = urlsplit(origin)
        if parts.scheme == "http":
            pool = urllib3.HTTPConnectionPool(parts.hostname or "", parts.port, **self._pool_options)
            pool.ConnectionCls = partial(_GuardedHTTPConnection, policy=self._policy)  # type: ignore[assignment]
            return pool
        pool = urllib3.HTTPSConnectionPool(
            parts.hostname or "", parts.port, ssl_context=self._ssl_context, **self._pool_options
        )
        pool.ConnectionCls = partial(_GuardedHTTPSConnection, policy=self._policy)  # type: ignore[assignment]
        return pool

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        # The system's certificates, and those of certifi for systems without any.
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        return context


class _LimitedHeaderResponse(http.client.HTTPResponse):
    """A response with a size limit on its whole header; the standard library limits only single lines."""

    def __init__(self, *args: Any, header_bytes: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_bytes = header_bytes

    def begin(self) -> None:
        file, limited = self.fp, _LimitedLineReader(self.fp, self._header_bytes)
        self.fp = limited  # type: ignore[assignment]
        super().begin()
        if self.chunked:
            limited.bytes_left = None  # chunks of a body have header lines of their own
        elif self.fp is not None:
            self.fp = file


class _LimitedLineReader:
    """A file with limits on the length of its lines."""

    def __init__(self, file: Any, bytes_left: int) -> None:
        self._file = file
        self.bytes_left: int | None = bytes_left
        """Bytes that all further lines may have together; None: no limit besides that of each line."""

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._file.readline(limit if limit >= 0 else _MAX_LINE_BYTES + 1)
        if self.bytes_left is not None:
            self.bytes_left -= len(line)
        if len(line) > _MAX_LINE_BYTES or (self.bytes_left is not None and self.bytes_left < 0):
            raise HeaderTooLarge
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _GuardedConnection:
    """Mixin for connections: address check, deadline and header size limit."""

    host: str
    port: int
    sock: socket.socket | None
    timeout: float | None
    response_class: Any
    _handle: socket.socket | None = None
    _was_used = False

    def __init__(self, *args: Any, policy: ConnectionPolicy, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._policy = policy
        self.response_class = partial(_LimitedHeaderResponse, header_bytes=policy.header_bytes)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self._handle is not None and self._was_used:
            self._policy.deadlines.attach(self._handle, reused=True)
        self._was_used = True
        super().request(*args, **kwargs)  # type: ignore[misc]

    def close(self) -> None:
        self._was_used = False
        super().close()  # type: ignore[misc]
        if self._handle is not None:
            self._policy.deadlines.release(self._handle)
            self._handle = None

    def _new_conn(self) -> socket.socket:
        host = self.host.strip("[]").lower()
        is_allowed = host in self._policy.allowed_hosts
        if not is_allowed and self.port not in _ALLOWED_PORTS:
            raise _not_allowed_error(
                host,
                _("only ports {ports} are allowed, not {port}").format(
                    ports=", ".join(map(str, sorted(_ALLOWED_PORTS))), port=self.port
                ),
            )
        addresses = self._resolve(host)
        for *_rest, address in addresses:
            if not is_allowed and not is_public(ipaddress.ip_address(address[0].partition("%")[0])):
                raise _not_allowed_error(host, _("{ip} is not a public address").format(ip=address[0]))
        last_error: OSError | None = None
        for family, kind, proto, _name, address in addresses:
            sock = socket.socket(family, kind, proto)
            try:
                self._connect(sock, address)
            except OSError as error:
                sock.close()
                last_error = error
                self._policy.deadlines.check()
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        why = last_error.strerror if last_error and last_error.strerror else _("it has no address")
        raise ImageRefused(
            _("{host} cannot be reached: {why}.").format(host=host, why=why), SkipReason.UNREACHABLE
        )

    def _resolve(self, host: str) -> list[Any]:
        """Return the addresses of a host, as getaddrinfo does, within the request's deadline.

        The look-up runs in a thread of its own, since it may take half a minute and cannot be interrupted.
        """
        results: queues.SimpleQueue[list[Any] | Exception] = queues.SimpleQueue()

        def resolve() -> None:
            try:
                results.put(self._policy.resolve(host, self.port, type=socket.SOCK_STREAM))
            except Exception as error:
                results.put(error)

        threading.Thread(target=resolve, name="look-up", daemon=True).start()
        while True:
            try:
                result = results.get(timeout=POLL_S)
            except queues.Empty:
                self._policy.deadlines.check()
                continue
            if isinstance(result, list):
                return result
            raise ImageRefused(
                _("{host} cannot be reached: its name is not known.").format(host=host),
                SkipReason.UNREACHABLE,
            ) from result

    def _connect(self, sock: socket.socket, address: Any) -> None:
        """Connect without blocking: not every system allows a connection attempt to be interrupted."""
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(address)
        if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            while not wait_for_write(sock, POLL_S):
                self._policy.deadlines.check()
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        sock.settimeout(self.timeout)
        self._handle = socket.socket(sock.family, sock.type, sock.proto, socket.dup(sock.fileno()))
        self._policy.deadlines.attach(self._handle, reused=False)


class _GuardedHTTPConnection(_GuardedConnection, HTTPConnection):
    """An HTTP connection to a checked address."""


class _GuardedHTTPSConnection(_GuardedConnection, HTTPSConnection):
    """An HTTPS connection to a checked address; its certificate is checked against the host name."""


def _not_allowed_error(host: str, why: str) -> ImageRefused:
    return ImageRefused(
        _(
            "{host} is not fetched: {why}. If it is yours, add it to --allow-host or STUDIO_ALLOW_HOSTS."
        ).format(host=host, why=why),
        SkipReason.ADDRESS,
    )
