"""The command `python -m studio import`."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.collect.material import files, image_bytes, write_files
from tests.collect.test_archives import zipped


def run(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "STUDIO_HOME": str(home / "studio"), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-m", "studio", "import", *arguments],
        cwd=Path(__file__).resolve().parents[2], env=environment, encoding="utf-8", capture_output=True,
        check=False,
    )  # fmt: skip


def test_it_names_each_skipped_file_and_prints_counts_last(home: Path) -> None:
    folder = write_files(
        home / "꽃 사진", {**files("장미/a.jpg", "tulips/b.jpg"), "tulips/c.svg": b"<svg/>", "d.jpg": b""}
    )
    done = run(home, str(folder), "--project", "꽃")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "added 2, duplicates 0, skipped 2")
    lines = done.stderr.splitlines()
    assert "d.jpg is empty: expected an image." in lines
    assert any("tulips/c.svg is SVG" in line for line in lines)
    assert (
        run(home, str(folder), "--project", "꽃").stdout.splitlines()[-1]
        == "added 0, duplicates 2, skipped 2"
    )


def test_a_mistyped_path_is_one_line_and_makes_no_project(home: Path) -> None:
    done = run(home, str(home / "nope"), "--project", "flowers")
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "there is nothing at" in done.stderr
    assert not (home / "studio").exists()


@pytest.mark.parametrize("content", [b"PK\x03\x04 and no more", b""])
def test_a_broken_archive_makes_no_project(home: Path, content: bytes) -> None:
    path = write_files(home, {"꽃.tm": content}) / "꽃.tm"
    done = run(home, str(path), "--project", "flowers")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is a broken archive, or none" in done.stderr
    assert not (home / "studio").exists()


def test_a_teachable_machine_project_as_json(home: Path) -> None:
    manifest = {"manifest.json": b'{"type": "image", "version": "2.4.7", "appdata": {}}', "x.svg": b"<svg/>"}
    path = zipped(home / "내 꽃.tm", {**files("장미-!-0.jpg", "튤립-!-0.jpg"), **manifest})
    done = run(home, str(path), "--project", "꽃", "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert (found["added"], found["copies"]) == (2, 0)
    assert [refusal["name"] for refusal in found["refused"]] == ["x.svg"]
    assert set(found["refused"][0]) >= {"name", "reason", "why"}


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without logging."""

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[int]:
    handler = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_list_of_urls(home: Path) -> None:
    write_files(home / "site", {"a.jpg": image_bytes(1, 200, 150), "b.jpg": image_bytes(2, 20, 15)})
    with served(home / "site") as port:
        rows = [
            f"http://127.0.0.1:{port}/{name},{kind}" for name, kind in [("a.jpg", "장미"), ("b.jpg", "장미")]
        ]
        path = write_files(home, {"목록.csv": "\n".join(["url,class", *rows]).encode()}) / "목록.csv"
        refused = run(home, str(path), "--project", "꽃")
        assert refused.stdout.splitlines()[-1] == "added 0, duplicates 0, skipped 2"
        done = run(home, str(path), "--project", "꽃", "--allow-host", "127.0.0.1", "--min-size", "100")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "added 1, duplicates 0, skipped 1")
    assert "expected at least 100 px" in done.stderr


def test_wrong_usage_is_status_2(home: Path) -> None:
    assert run(home, str(home)).returncode == 2
