"""Downloading from a real server on this machine that breaks off, refuses, or cannot go on in the middle."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from studio.collect.download import download
from studio.errors import DownloadFailed, Stopped
from studio.progress import Silent
from tests.collect.material import Watched

CONTENT = np.random.default_rng(0).bytes(3_000_000)


@dataclass
class Site:
    """A server with one file, and how it is to behave."""

    content: bytes = CONTENT
    tag: str = '"v1"'
    ranges: bool = True
    breaks_after: list[int] = field(default_factory=list)
    """How many bytes the coming answers send before the line breaks; the answers after them are whole."""
    status: int = 200
    asked: list[str | None] = field(default_factory=list)
    """The Range of every request."""
    address: str = ""


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()

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
            self.end_headers()
            self.wfile.write(body[: made.breaks_after.pop(0)] if made.breaks_after else body)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.address = f"http://127.0.0.1:{server.server_port}/flower_photos.tgz"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_with_progress_and_only_once(site: Site, home: Path) -> None:
    progress = Watched()
    path = download(site.address, home / "downloads" / "f.tgz", progress=progress)
    assert path.read_bytes() == CONTENT
    assert progress.reports[0] == ("Downloading", 0, len(CONTENT))
    assert progress.reports[-1] == ("Downloading", len(CONTENT), len(CONTENT))
    assert names(home / "downloads") == ["f.tgz"]
    download(site.address, path, progress=progress)
    assert site.asked == [None]


def test_a_broken_line_is_taken_up_where_it_broke(site: Site, home: Path) -> None:
    site.breaks_after = [16 << 16, 8 << 16]
    path = download(site.address, home / "f.tgz", progress=Silent())
    assert path.read_bytes() == CONTENT
    assert site.asked == [None, f"bytes={16 << 16}-", f"bytes={24 << 16}-"]


def test_a_server_that_cannot_go_on_in_the_middle_is_asked_for_all(site: Site, home: Path) -> None:
    site.breaks_after, site.ranges = [1_000_000], False
    assert download(site.address, home / "f.tgz", progress=Silent()).read_bytes() == CONTENT


def test_stop_keeps_what_has_come(site: Site, home: Path) -> None:
    with pytest.raises(Stopped):
        download(site.address, home / "f.tgz", progress=Watched(stop_at=9))
    have = (home / "f.tgz.part").stat().st_size
    assert 0 < have < len(CONTENT)
    progress = Watched()
    assert download(site.address, home / "f.tgz", progress=progress).read_bytes() == CONTENT
    assert site.asked[-1] == f"bytes={have}-"
    assert progress.reports[0] == ("Downloading", have, len(CONTENT))
    assert names(home) == ["f.tgz"]


@pytest.mark.parametrize("tag", ['"v2"', 'W/"v1"', ""])
def test_parts_of_two_versions_are_never_put_together(site: Site, home: Path, tag: str) -> None:
    with pytest.raises(Stopped):
        download(site.address, home / "f.tgz", progress=Watched(stop_at=9))
    site.content, site.tag = CONTENT[::-1], tag
    assert download(site.address, home / "f.tgz", progress=Silent()).read_bytes() == site.content


def test_a_part_of_another_address_is_not_used(site: Site, home: Path) -> None:
    with pytest.raises(Stopped):
        download(site.address, home / "f.tgz", progress=Watched(stop_at=9))
    download(site.address + "?other", home / "f.tgz", progress=Silent())
    assert site.asked[-1] is None


def test_a_part_longer_than_the_file_begins_anew(site: Site, home: Path) -> None:
    with pytest.raises(Stopped):
        download(site.address, home / "f.tgz", progress=Watched(stop_at=9))
    site.content = CONTENT[:1000]
    assert download(site.address, home / "f.tgz", progress=Silent()).read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("status", [404, 403, 500])
def test_a_refusal_is_said_at_once(site: Site, home: Path, status: int) -> None:
    site.status = status
    with pytest.raises(DownloadFailed, match=f"answers {status}"):
        download(site.address, home / "f.tgz", progress=Silent())
    assert len(site.asked) == 1
    assert not (home / "f.tgz").exists()


def test_a_line_that_never_moves_on_is_given_up(site: Site, home: Path) -> None:
    site.breaks_after = [1 << 16, *[0] * 20]
    with pytest.raises(DownloadFailed, match="goes on"):
        download(site.address, home / "f.tgz", progress=Silent())
    assert (home / "f.tgz.part").stat().st_size == 1 << 16
    assert len(site.asked) < 10


def test_a_disk_that_refuses_is_not_called_a_broken_line(site: Site, home: Path) -> None:
    (home / "f.tgz.part").mkdir()
    with pytest.raises(DownloadFailed, match="cannot be written"):
        download(site.address, home / "f.tgz", progress=Silent())


def test_without_internet_it_says_what_else_there_is(home: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}/f.tgz", "http://does-not-exist.invalid/f.tgz"):
        with pytest.raises(DownloadFailed, match=r"Is there internet\?.* drawings"):
            download(address, home / "f.tgz", progress=Silent())
    assert names(home) == []
