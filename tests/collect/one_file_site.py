"""A server on loopback with one file, which can break off, fail, or lack range requests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class OneFileSite:
    """A server with one file, and its behaviour."""

    content: bytes
    tag: str = '"v1"'
    ranges: bool = True
    breaks_after: list[int] = field(default_factory=list)
    """Bytes after which the next responses break off; later responses are complete."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    """Further response headers."""
    asked: list[str | None] = field(default_factory=list)
    """The Range of every request."""
    address: str = ""


@contextmanager
def one_file_site(content: bytes, name: str) -> Iterator[OneFileSite]:
    """Serve `content` as a file of that name."""
    made = OneFileSite(content)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            made.asked.append(wanted)
            if made.status != 200:
                self.send_error(made.status)
                return
            start = 0
            if wanted and made.ranges and self.headers.get("If-Range") == made.tag:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start and start >= len(made.content):
                self.send_error(416)
                return
            body = made.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(made.content) - 1}/{len(made.content)}"
                )
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", made.tag)
            for header, value in made.headers.items():
                self.send_header(header, value)
            self.end_headers()
            self.wfile.write(body[: made.breaks_after.pop(0)] if made.breaks_after else body)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.address = f"http://127.0.0.1:{server.server_port}/{name}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
