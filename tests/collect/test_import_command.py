"""`python -m studio import` as a person meets it."""

import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import select

from db import models
from db.engine import Database
from tests.collect.material import files, write_files


def run(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "STUDIO_HOME": str(home / "studio"), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-m", "studio", "import", *arguments],
        cwd=Path(__file__).resolve().parents[2], env=environment, encoding="utf-8", capture_output=True,
        check=False,
    )  # fmt: skip


def test_it_counts_last_and_names_each_refused_file(home: Path) -> None:
    folder = write_files(
        home / "꽃 사진", {**files("장미/a.jpg", "tulips/b.jpg"), "tulips/c.svg": b"<svg/>", "d.jpg": b""}
    )
    done = run(home, str(folder), "--project", "꽃")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "added 2, copies 0, refused 2")
    lines = done.stderr.splitlines()
    assert "d.jpg is empty: expected a picture." in lines
    assert any("tulips/c.svg is SVG" in line for line in lines)
    assert run(home, str(folder), "--project", "꽃").stdout.splitlines()[-1] == "added 0, copies 2, refused 2"


def test_a_mistyped_path_is_one_line_and_makes_no_project(home: Path) -> None:
    done = run(home, str(home / "nope"), "--project", "flowers")
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "there is nothing at" in done.stderr
    database = Database(f"sqlite:///{(home / 'studio' / 'studio.sqlite3').as_posix()}")
    with database.read() as session:
        assert session.scalars(select(models.Project)).all() == []
    database.close()


def test_wrong_usage_is_status_2(home: Path) -> None:
    assert run(home, str(home)).returncode == 2
