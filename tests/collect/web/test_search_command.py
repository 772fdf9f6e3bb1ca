"""The command `python -m studio search`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from sqlalchemy import select

from db import models
from db.engine import Database
from studio.cli.collect import parse_selection
from tests.collect.web.fake_search_services import (
    FakeCommons,
    FakeOpenverse,
    FakeSearchService,
    commons_page,
    openverse_result,
)

ROSES = ("--project", "꽃", "--class", "장미")


def run(
    home: Path, service: FakeSearchService, *arguments: str, answer: str = ""
) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "STUDIO_HOME": str(home / "studio"),
        "STUDIO_ALLOW_HOSTS": "127.0.0.1",
        "STUDIO_SITE_DELAY_S": "0",
        "STUDIO_CONTACT": "test@example.org",
        "STUDIO_OPENVERSE_ADDRESS": service.url,
        "STUDIO_COMMONS_ADDRESS": f"{service.url}/w/api.php",
        "PYTHONIOENCODING": "utf-8",
    }
    return subprocess.run(
        [sys.executable, "-m", "studio", "search", *arguments],
        cwd=Path(__file__).resolve().parents[3], env=environment, encoding="utf-8", capture_output=True,
        input=answer, check=False,
    )  # fmt: skip


def kept(home: Path) -> dict[str, tuple[str, str, str, str]]:
    """Return the project's provenance by URL: kind, licence, creator, page."""
    database = Database(f"sqlite:///{(home / 'studio' / 'studio.sqlite3').as_posix()}")
    with database.read() as session:
        rows = session.scalars(select(models.ProvenanceRow))
        provenance = {row.address: (row.kind, row.licence, row.creator, row.page_address) for row in rows}
    database.close()
    return provenance


def test_everything_is_kept_with_its_provenance(home: Path) -> None:
    results = [*map(openverse_result, range(3)), openverse_result(3, url="{origin}/gone.jpg")]
    with FakeOpenverse({"wild rose": results}) as service:
        done = run(home, service, "wild rose", *ROSES, "--source", "openverse", "--yes")
        assert (done.returncode, done.stdout.splitlines()) == (0, ["added 3, duplicates 0, skipped 1"])
        assert kept(home)[f"{service.url}/pictures/2.jpg"] == (
            "openverse",
            "CC BY 2.0",
            "Creator 2",
            "https://photos.example.org/2",
        )
        again = run(home, service, "wild rose", *ROSES, "--source", "openverse", "--yes")
        assert again.stdout.splitlines() == ["added 0, duplicates 3, skipped 1"]


def test_a_person_picks_by_number(home: Path) -> None:
    pages = [commons_page(number) for number in range(5)]
    with FakeCommons({"rose": pages}) as service:
        done = run(home, service, "rose", *ROSES, "--source", "commons", answer="7\n2, 4-5\n")
    assert (done.returncode, done.stdout) == (0, "added 3, duplicates 0, skipped 0\n")
    line = f"   1  320 x 240 px | CC BY-SA 4.0 | C 0 | Image 0.jpg | {service.url}/pictures/0.jpg"
    assert line in done.stderr.splitlines()
    assert "expected all, none, or numbers from 1 to 5, such as 1,3,5-9; got 7." in done.stderr
    assert sorted(kept(home)) == [f"{service.url}/pictures/{number}.jpg" for number in (1, 3, 4)]


def test_none_is_an_answer(home: Path) -> None:
    with FakeOpenverse({"rose": [openverse_result(1)]}) as service:
        done = run(home, service, "rose", *ROSES, "--source", "openverse", answer="none\n")
        assert (done.returncode, done.stdout) == (0, "added 0, duplicates 0, skipped 0\n")
        assert service.requests_to("/pictures/1.jpg") == []


def test_a_program_gets_one_json_object(home: Path) -> None:
    results = [
        openverse_result(1),
        openverse_result(2, url="{origin}/gone.jpg"),
        openverse_result(3, license="by-nc"),
    ]
    with FakeOpenverse({"rose": results, "red rose": []}) as service:
        asked = ("rose", "red rose", *ROSES, "--source", "openverse", "--license", "BY, cc0", "--json")
        done = run(home, service, *asked, "--count", "9", answer="all\n")
        assert service.searches[0].query["license"] == "by,cc0"
    found = json.loads(done.stdout)
    assert (found["added"], found["copies"]) == (1, 0)
    (refused,) = found["refused"]
    assert (refused["name"], refused["why"]) == (f"{service.url}/gone.jpg", "missing")
    assert "404" in refused["reason"]
    with FakeOpenverse({}) as service:
        done = run(home, service, "tulip", *ROSES, "--source", "openverse", "--json")
    assert json.loads(done.stdout) == {"added": 0, "copies": 0, "refused_count": 0, "why": {}, "refused": []}
    assert "Nothing found." in done.stderr


def test_what_was_found_before_the_limit_can_be_kept(home: Path) -> None:
    with FakeOpenverse({"rose": [openverse_result(number) for number in range(30)]}, allowance=1) as service:
        asked = ("rose", *ROSES, "--source", "openverse", "--yes", "--count", "30")
        done = run(home, service, *asked)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["added 20, duplicates 0, skipped 0"])
    assert "5 requests an hour and 100 a day" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("rose", *ROSES, "--source", "openverse", "--license", "mit"), 1, "got mit"),
        (("rose", "--source", "openverse"), 2, "--project"),
    ],
)
def test_wrong_usage_is_an_error_and_makes_no_project(
    home: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    with FakeOpenverse({}) as service:
        done = run(home, service, *arguments)
        assert service.log == []
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert not (home / "studio" / "studio.sqlite3").exists()


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [("all", [1, 2, 3, 4]), (" None ", []), ("3", [3]), ("4,1, 2-3", [1, 2, 3, 4]), ("2 2-2,", [2])],
)
def test_an_answer_names_numbers(answer: str, numbers: list[int]) -> None:
    assert parse_selection(answer, 4) == numbers


@pytest.mark.parametrize("answer", ["", ",", "0", "5", "3-5", "3-1", "-2", "2-", "one", "1;2", "1-2-3"])
def test_an_invalid_selection_is_prompted_again(answer: str) -> None:
    with pytest.raises(click.UsageError, match="numbers from 1 to 4"):
        parse_selection(answer, 4)
