"""`doubtful` and `copies` where there is little to find; on photographs: tests/curate/test_photographs.py."""

import csv
import shutil
from pathlib import Path

import pytest

from studio.curate import reports
from tests.cli.test_command_line import studio
from tests.collect.material import image_bytes, write_files
from tests.retrain.material import backbone


@pytest.mark.parametrize("command", ["doubtful", "copies"])
def test_a_project_that_is_not_there_is_named_and_not_made(command: str, home: Path) -> None:
    for _time in range(2):
        done = studio(command, "--project", "없는 정원", "--csv", str(home / "x.csv"), home=home)
        assert done.returncode == 1
        assert "없는 정원" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert studio(command, "--project", "p", home=home).returncode == 2
    assert not (home / "x.csv").exists()


def test_a_few_images_and_none_with_a_label(home: Path) -> None:
    (home / "backbones").mkdir()
    shutil.copy(backbone().path, home / "backbones")
    files = {"b.jpg": image_bytes(1), "=a.jpg": image_bytes(0), "다른 이름.jpg": image_bytes(0)}
    write_files(home / "오늘 새 것", files)
    assert studio("import", str(home / "오늘 새 것"), "--project", "정원", home=home).returncode == 0
    done = studio("doubtful", "--project", "정원", "--csv", "-", home=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ",".join(reports.ReportedLabelIssue._fields) + "\n"
    path = home / "새 folder" / "표.csv"
    done = studio("copies", "--project", "정원", "--csv", str(path), home=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1 duplicate group, 2 rows\n"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # A name that a spreadsheet would run is shown as text.
    assert [(row["name"], row["kind"], row["keeper"]) for row in rows] == [
        ("'=a.jpg", "exact", "yes"),
        ("다른 이름.jpg", "exact", "no"),
    ]
    assert len({row["group"] for row in rows}) == len({row["sha256"] for row in rows}) == 1
    done = studio("copies", "--project", "정원", "--csv", str(home / "backbones"), home=home)
    assert done.returncode == 2  # a folder
