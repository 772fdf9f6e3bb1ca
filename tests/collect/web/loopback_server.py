"""A web server on loopback that sends given bytes and logs its requests."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from itertools import pairwise
from typing import Self


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as it was received."""

    at: float
    """In seconds of time.monotonic."""
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass
class ServerConnection:
    """A connection, for replies that are more than bytes."""

    socket: socket.socket
    asked: ReceivedRequest
    ended: threading.Event
    """Set when the server stops."""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def wait(self) -> None:
        """Send nothing until the client or the server closes the connection."""
        self.socket.recv(1)

    def drip(self, data: bytes, every_s: float = 0.05) -> None:
        """Send one byte at a time, until the end or until the server stops."""
        for byte in data:
            self.send(bytes([byte]))
            if self.ended.wait(every_s):
                return


ServerReply = bytes | Callable[[ServerConnection], object]


def reply(body: bytes = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """Return a reply with its Content-Length."""
    return head(status, {"Content-Length": str(len(body)), **(headers or {})}) + body


def head(status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """Return the header of a reply."""
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")


def redirect_to(url: str, status: int = 302) -> bytes:
    """Return a redirect."""
    return reply(status=status, headers={"Location": url})


def chunked_reply(*chunks: bytes) -> bytes:
    """Return a complete chunked reply."""
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head(headers={"Transfer-Encoding": "chunked"}) + pieces + b"0\r\n\r\n"


@dataclass
class LoopbackServer:
    """Sends replies by path, and 404 for other paths; a context manager starts and stops it."""

    answers: Mapping[str, ServerReply] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 0
    context: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        self.log: list[ReceivedRequest] = []
        self.connections = 0
        """Connections accepted since the start."""
        self.open = 0
        """Open connections."""
        self.most_at_once = 0
        """The most requests in flight at the same time."""
        self._under_way = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._lines: set[socket.socket] = set()

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.bind((self.host, self.port))
        self._socket.listen(128)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        with self._lock:
            for line in (self._socket, *self._lines):
                try:
                    line.shutdown(socket.SHUT_RDWR)
                except OSError:
                    line.close()  # nothing else wakes a listening socket on every system
        self._socket.close()

    @property
    def site(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://{self.site}"

    @property
    def paths(self) -> list[str]:
        """Requested paths without robots.txt."""
        return [asked.path for asked in self.log if asked.path != "/robots.txt"]

    def gaps(self) -> list[float]:
        """Seconds between one request and the next."""
        times = [asked.at for asked in self.log]
        return [later - earlier for earlier, later in pairwise(times)]

    def until(self, condition: Callable[["LoopbackServer"], bool], within_s: float = 60.0) -> bool:
        """Wait until a condition holds; return whether it does."""
        end = time.monotonic() + within_s
        while not condition(self):
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                line, _place = self._socket.accept()
            except OSError:
                return
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self.open += 1
                self._lines.add(line)
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        spoken = line
        try:
            if self.context is not None:
                spoken = self.context.wrap_socket(line, server_side=True)
            with spoken.makefile("rb") as incoming:
                while (asked := self._read(incoming)) and self._answer(spoken, asked):
                    pass
        except (OSError, ValueError):
            pass  # the other side has gone, or we have ended
        finally:
            spoken.close()
            with self._lock:
                self._lines.discard(line)
                self.open -= 1

    def _read(self, incoming: object) -> ReceivedRequest | None:
        readline = incoming.readline  # type: ignore[attr-defined]
        first = readline().decode("latin-1").split()
        if len(first) < 2:
            return None
        lines = []
        while (text := readline()) not in (b"\r\n", b""):
            lines.append(text)
        parsed = BytesParser(policy=HTTP).parsebytes(b"".join(lines))
        headers = {name.lower(): value for name, value in parsed.items()}
        body = incoming.read(int(headers.get("content-length", 0)))  # type: ignore[attr-defined]
        return ReceivedRequest(time.monotonic(), first[0], first[1], headers, body)

    def _answer(self, line: socket.socket, asked: ReceivedRequest) -> bool:
        """Send the reply, and return whether the connection stays open."""
        with self._lock:
            self.log.append(asked)
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        answer = self.answers.get(asked.path, reply(b"not there", 404))
        try:
            if isinstance(answer, bytes):
                line.sendall(answer)
                return True
            return bool(answer(ServerConnection(line, asked, self._ended)))
        finally:
            with self._lock:
                self._under_way -= 1
