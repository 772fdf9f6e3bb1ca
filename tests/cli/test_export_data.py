"""`python -m studio export-data` as a person and as a program meet it, and `import` of what it wrote."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from studio.data import open_database
from studio.settings import Settings
from tests.collect.material import files, write_files
from tests.datasets.material import everything

ROOT = Path(__file__).resolve().parents[2]


def run(studio: Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "STUDIO_HOME": str(studio), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-m", "studio", *map(str, arguments)],
        cwd=ROOT, env=environment, encoding="utf-8", capture_output=True, check=False,
    )  # fmt: skip


def test_out_and_in_again(home: Path) -> None:
    names = ("장미 꽃/a.jpg", "장미 꽃/b.jpg", "CON/a.jpg", "loose.jpg")
    first, second = home / "하나", home / "둘"
    run(first, "import", write_files(home / "꽃 사진", files(*names)), "--project", "꽃")
    next(first.glob("pictures/originals/*/*")).unlink()
    done = run(
        first, "export-data", "--project", "꽃", "--format", "folders", "--output", home / "나간 것.zip"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"4 images (3 labelled, 1 unlabelled, 0 rejected) in {home / '나간 것.zip'}; 1 file lost"
    ]
    assert any(".jpg: its file is not there (" in line for line in done.stderr.splitlines())
    back = run(second, "import", home / "나간 것.zip", "--project", "꽃", "--json")
    assert back.returncode == 0, back.stderr
    counts = json.loads(back.stdout)
    assert (counts["added"], counts["refused_count"]) == (3, 1)
    before, after = (everything(open_database(Settings(home=each)), "꽃") for each in (first, second))
    assert after["classes"] == before["classes"]
    assert after["labels"].items() <= before["labels"].items()
    assert after["places"].items() <= before["places"].items()


def test_json_and_a_table_alone(home: Path) -> None:
    run(home / "studio", "import", write_files(home / "in", files("roses/a.jpg")), "--project", "p")
    path = home / "표.csv"
    arguments = ("export-data", "--project", "p", "--format", "csv", "--output", path, "--json")
    for _time in range(2):  # the same again is the same work, not a fault
        done = run(home / "studio", *arguments)
        found = json.loads(done.stdout)
        assert (found["pictures"], found["labelled"], found["lost"], found["output"]) == (1, 1, [], str(path))
    assert path.read_text(encoding="utf-8").startswith("file_name,sha256,")
    back = run(home / "studio", "import", path, "--project", "again")
    assert back.stdout.splitlines()[-1] == "added 1, duplicates 0, skipped 0"


def test_errors_are_one_line_and_make_no_project(home: Path) -> None:
    run(home / "studio", "import", write_files(home / "in", files("roses/a.jpg")), "--project", "p")
    for project, output, message in (
        ("없음", "out.zip", "there is none named 없음"),
        ("p", "out.7z", "expected an output that ends in .zip or .tar"),
        ("p", "in", "holds something"),
    ):
        done = run(
            home / "studio",
            *("export-data", "--project", project, "--format", "folders", "--output", home / output),
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert len(done.stderr.splitlines()) == 1
        assert message in done.stderr
    again = run(home / "studio", "sources", "--project", "없음")
    assert "there is none named 없음" in again.stderr


@pytest.mark.parametrize("arguments", [[], ["--format", "xml"], ["--format", "csv"]])
def test_wrong_usage_is_2(home: Path, arguments: list[str]) -> None:
    assert run(home / "studio", "export-data", "--project", "p", *arguments).returncode == 2
