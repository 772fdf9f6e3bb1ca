"""Downloading from a real server on this machine that breaks off, refuses, or cannot go on in the middle."""

import base64
import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from studio.errors import DownloadFailed, Stopped
from studio.images.download import download
from studio.progress import Silent
from tests.collect.material import RecordingProgress
from tests.collect.one_file_site import OneFileSite, one_file_site

CONTENT = np.random.default_rng(0).bytes(3_000_000)


@pytest.fixture
def site() -> Iterator[OneFileSite]:
    with one_file_site(CONTENT, "flower_photos.tgz") as made:
        yield made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_with_progress_and_only_once(site: OneFileSite, home: Path) -> None:
    progress = RecordingProgress()
    path = download(site.address, home / "downloads" / "f.tgz", progress=progress)
    assert path.read_bytes() == CONTENT
    assert progress.reports[0] == ("Downloading", 0, len(CONTENT))
    assert progress.reports[-1] == ("Downloading", len(CONTENT), len(CONTENT))
    assert names(home / "downloads") == ["f.tgz"]
    download(site.address, path, progress=progress)
    assert site.asked == [None]


def test_a_broken_line_is_taken_up_where_it_broke(site: OneFileSite, home: Path) -> None:
    site.breaks_after = [16 << 16, 8 << 16]
    path = download(site.address, home / "f.tgz", progress=Silent())
    assert path.read_bytes() == CONTENT
    assert site.asked == [None, f"bytes={16 << 16}-", f"bytes={24 << 16}-"]


def test_a_server_that_cannot_go_on_in_the_middle_is_asked_for_all(site: OneFileSite, home: Path) -> None:
    site.breaks_after, site.ranges = [1_000_000], False
    assert download(site.address, home / "f.tgz", progress=Silent()).read_bytes() == CONTENT


def test_stop_keeps_what_has_come(site: OneFileSite, home: Path) -> None:
    with pytest.raises(Stopped):
        download(site.address, home / "f.tgz", progress=RecordingProgress(stop_at=9))
    have = (home / "f.tgz.part").stat().st_size
    assert 0 < have < len(CONTENT)
    progress = RecordingProgress()
    assert download(site.address, home / "f.tgz", progress=progress).read_bytes() == CONTENT
    assert site.asked[-1] == f"bytes={have}-"
    assert progress.reports[0] == ("Downloading", have, len(CONTENT))
    assert names(home) == ["f.tgz"]


@pytest.mark.parametrize("tag", ['"v2"', 'W/"v1"', ""])
def test_parts_of_two_versions_are_never_put_together(site: OneFileSite, home: Path, tag: str) -> None:
    with pytest.raises(Stopped):
        download(site.address, home / "f.tgz", progress=RecordingProgress(stop_at=9))
    site.content, site.tag = CONTENT[::-1], tag
    assert download(site.address, home / "f.tgz", progress=Silent()).read_bytes() == site.content


def test_a_part_of_another_address_is_not_used(site: OneFileSite, home: Path) -> None:
    with pytest.raises(Stopped):
        download(site.address, home / "f.tgz", progress=RecordingProgress(stop_at=9))
    download(site.address + "?other", home / "f.tgz", progress=Silent())
    assert site.asked[-1] is None


def test_a_part_longer_than_the_file_begins_anew(site: OneFileSite, home: Path) -> None:
    with pytest.raises(Stopped):
        download(site.address, home / "f.tgz", progress=RecordingProgress(stop_at=9))
    site.content = CONTENT[:1000]
    assert download(site.address, home / "f.tgz", progress=Silent()).read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("status", [404, 403, 500])
def test_a_refusal_is_reported_at_once(site: OneFileSite, home: Path, status: int) -> None:
    site.status = status
    with pytest.raises(DownloadFailed, match=f"answers {status}"):
        download(site.address, home / "f.tgz", progress=Silent())
    assert len(site.asked) == 1
    assert not (home / "f.tgz").exists()


def test_a_line_that_never_moves_on_is_given_up(site: OneFileSite, home: Path) -> None:
    site.breaks_after = [1 << 16, *[0] * 20]
    with pytest.raises(DownloadFailed, match="goes on"):
        download(site.address, home / "f.tgz", progress=Silent())
    assert (home / "f.tgz.part").stat().st_size == 1 << 16
    assert len(site.asked) < 10


def test_a_disk_that_refuses_is_not_called_a_broken_line(site: OneFileSite, home: Path) -> None:
    (home / "f.tgz.part").mkdir()
    with pytest.raises(DownloadFailed, match="cannot be written"):
        download(site.address, home / "f.tgz", progress=Silent())


def test_without_internet_it_says_what_else_there_is(home: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}/f.tgz", "http://does-not-exist.invalid/f.tgz"):
        with pytest.raises(DownloadFailed, match=r"Check the internet connection\..* drawings"):
            download(address, home / "f.tgz", progress=Silent())
    assert names(home) == []


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_file_that_must_have_a_hash_has_it(site: OneFileSite, home: Path, algorithm: str) -> None:
    site.breaks_after = [16 << 16]
    path = download(
        site.address,
        home / "f.h5",
        progress=Silent(),
        expected_hash=hashlib.new(algorithm, CONTENT).hexdigest(),
    )
    assert path.read_bytes() == CONTENT
    assert names(home) == ["f.h5"]


def test_another_file_than_was_published_is_not_kept(site: OneFileSite, home: Path) -> None:
    wanted = hashlib.sha256(CONTENT).hexdigest()
    site.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(DownloadFailed, match=f"another file.*{wanted}"):
        download(site.address, home / "f.h5", progress=Silent(), expected_hash=wanted)
    assert names(home) == []


def test_the_hash_that_the_server_names_is_checked(site: OneFileSite, home: Path) -> None:
    md5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
    site.headers = {"x-goog-hash": f"crc32c=n03x6A==,md5={md5}"}
    download(site.address, home / "good.h5", progress=Silent())
    site.content = CONTENT[::-1]
    with pytest.raises(DownloadFailed, match="another file"):
        download(site.address, home / "bad.h5", progress=Silent())
    assert names(home) == ["good.h5"]


def test_a_folder_that_cannot_be_made_is_reported(site: OneFileSite, home: Path) -> None:
    (home / "models").write_text("a file", encoding="utf-8")
    with pytest.raises(DownloadFailed, match="models cannot be written"):
        download(site.address, home / "models" / "f.h5", progress=Silent())
