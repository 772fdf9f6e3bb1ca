"""The command line as a person meets it: exit codes, one line on an error, nothing on standard output."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def studio(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "studio", *arguments],
        cwd=ROOT,
        env={**os.environ, "STUDIO_HOME": str(home), "PYTHONUTF8": "1", **environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unknown"], "No such command"),
        (["retrain"], "--image_dir"),
        (["retrain", "--image_dir", ".", "--how_many_training_steps", "none"], "is not a valid integer"),
        (["serve", "--port", "99999"], "99999"),
        (["label_image", "--model", "x"], "--image"),
    ],
)
def test_wrong_usage_is_2(arguments: list[str], message: str, home: Path) -> None:
    done = studio(*arguments, home=home)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_is_one_line_and_1(home: Path) -> None:
    for arguments in (
        ["retrain", "--image_dir", str(home / "없음")],
        ["label_image", "--model", str(home / "없음"), "--image", "x.jpg"],
        ["import", str(home / "없음"), "--project", "p"],
    ):
        done = studio(*arguments, home=home)
        assert done.returncode == 1, arguments
        assert done.stdout == ""
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert "없음" in done.stderr


def test_debug_shows_the_traceback_wherever_it_stands(home: Path) -> None:
    done = studio("retrain", "--image_dir", str(home / "없음"), "--debug", home=home)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_data_folder_that_is_a_file_is_named(home: Path) -> None:
    taken = home / "a file"
    taken.write_text("x", encoding="utf-8")
    done = studio("import", str(home), "--project", "p", home=taken)
    assert done.returncode == 1
    assert "a file cannot be used" in done.stderr
    assert "STUDIO_HOME" in done.stderr


def test_a_setting_that_cannot_be_understood_is_named(home: Path) -> None:
    done = studio("serve", "--no-browser", home=home, STUDIO_WORKERS="many")
    assert done.returncode == 1
    assert done.stderr.startswith("STUDIO_WORKERS cannot be used")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_taken_port_is_reported_before_anything_starts(home: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = studio("serve", "--no-browser", "--port", str(port), home=home)
    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be used" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
