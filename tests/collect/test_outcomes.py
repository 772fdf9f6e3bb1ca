"""Import outcomes: counts, skipped items and CSV, also on the command line."""

import csv
import io
import json
import os
import subprocess
import sys
import tracemalloc
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import insert

from db import models
from studio.collect import outcomes
from studio.collect.outcomes import DUPLICATE, OutcomeCounts, SiteCounts
from studio.datasets.sources import Source, refused_source
from studio.errors import ImageRefused
from studio.images.provenance import Provenance
from studio.images.skip_reasons import SkipReason, skip_reason_title
from tests.collect.material import Bench, image_bytes
from tests.conftest import NOW

ROOT = Path(__file__).resolve().parents[2]
KNOWN = Provenance(page_address="https://a.example/꽃", licence="CC BY 2.0", creator="@Anna")


def missing_source(address: str, why: str, site: str) -> Source:
    def read() -> bytes:
        raise ImageRefused(f"{address} was refused: {why}.", why)

    return Source(address, read, kind="crawl", provenance=KNOWN, site=site)


def image_source(address: str, seed: int, site: str) -> Source:
    return Source(address, lambda: image_bytes(seed), "장미", "crawl", KNOWN, site=site)


def fill(bench: Bench, job_id: int | None = None) -> None:
    """Import typical outcomes of a crawl of two sites, and a page."""
    bench.ingest(
        [
            image_source("https://a.example/0.jpg", 0, "a.example"),
            image_source("https://a.example/0-again.jpg", 0, "a.example"),
            image_source("https://b.example:8080/1.jpg", 1, "b.example:8080"),
            missing_source("https://a.example/2.jpg", SkipReason.ROBOTS, "a.example"),
            missing_source("https://a.example/3.jpg", SkipReason.MISSING, "a.example"),
            missing_source("https://a.example/4.jpg", SkipReason.MISSING, "a.example"),
            refused_source("=cmd|'/c calc'!A1", "Not an image.", "upload", SkipReason.NOT_AN_IMAGE),
        ],
        job_id=job_id,
    )
    with bench.database.write() as session:
        session.add(
            models.IngestOutcomeRow(
                project_id=bench.project_id,
                job_id=job_id,
                name="https://a.example/꽃",
                outcome="page",
                site="a.example",
                at=NOW,
            )
        )


def test_counts_by_outcome_reason_and_site(bench: Bench) -> None:
    job = bench.job()
    fill(bench, job)
    fill(bench, bench.job())  # another job's are not counted as this one's
    with bench.database.read() as session:
        counts = outcomes.count_outcomes(session, bench.project_id, job)
        everything = outcomes.count_outcomes(session, bench.project_id)
        nothing = outcomes.count_outcomes(session, bench.project_id + 1)
    assert counts == OutcomeCounts(
        added=2,
        duplicates=1,
        skipped=4,
        pages=1,
        by_reason={"missing": 2, DUPLICATE: 1, "not_a_picture": 1, "robots": 1},
        by_site=(
            SiteCounts("a.example", added=1, duplicates=1, skipped=3, pages=1),
            SiteCounts("b.example:8080", added=1, duplicates=0, skipped=0, pages=0),
        ),
    )
    assert list(counts.by_reason) == ["missing", DUPLICATE, "not_a_picture", "robots"]
    assert counts.total == 8
    assert (everything.total, everything.duplicates, everything.added) == (16, 4, 2)
    assert nothing == OutcomeCounts(0, 0, 0, 0, {}, ())


def test_reasons_come_a_page_at_a_time_and_of_one_kind(bench: Bench) -> None:
    job = bench.job()
    fill(bench, job)
    fill(bench)
    with bench.database.read() as session:
        first = outcomes.skipped_items(session, bench.project_id, job, limit=3)
        rest = outcomes.skipped_items(session, bench.project_id, job, limit=100, after_id=first[-1].id)
        missing = outcomes.skipped_items(
            session, bench.project_id, job, skip_reason=SkipReason.MISSING, limit=100
        )
        copies = outcomes.skipped_items(session, bench.project_id, job, skip_reason=DUPLICATE, limit=100)
        both_jobs = outcomes.skipped_items(session, bench.project_id, limit=100)
    assert [row.name for row in (*first, *rest)] == [
        "https://a.example/0-again.jpg",
        "https://a.example/2.jpg",
        "https://a.example/3.jpg",
        "https://a.example/4.jpg",
        "=cmd|'/c calc'!A1",
    ]
    assert first[1].page_url == KNOWN.page_address
    assert (first[1].skip_reason, first[1].title) == ("robots", skip_reason_title("robots"))
    assert first[1].message == "https://a.example/2.jpg was refused: robots."
    assert [row.name for row in missing] == ["https://a.example/3.jpg", "https://a.example/4.jpg"]
    assert [(row.outcome, row.name) for row in copies] == [("copy", "https://a.example/0-again.jpg")]
    assert "https://a.example/0.jpg" in copies[0].message
    assert len(both_jobs) == 5 + 7


def test_what_came_before_kinds_were_kept_is_another_reason(bench: Bench) -> None:
    bench.ingest([missing_source("x.jpg", "", ""), missing_source("y.jpg", SkipReason.OTHER, "")])
    with bench.database.read() as session:
        assert outcomes.count_outcomes(session, bench.project_id).by_reason == {"other": 2}
        assert (
            len(outcomes.skipped_items(session, bench.project_id, skip_reason=SkipReason.OTHER, limit=9)) == 2
        )


def test_every_name_has_one_outcome_per_job(bench: Bench) -> None:
    fill(bench)
    bench.ingest(
        [Source("https://a.example/0.jpg", lambda: image_bytes(0), kind="list")]
    )  # the same, another way
    file = io.StringIO()
    with bench.database.read() as session:
        outcomes.write_outcomes_csv(session, bench.project_id, file)
    table = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert list(table[0]) == list(outcomes.COLUMNS)
    assert [(row["address"], row["outcome"]) for row in table] == [
        ("https://a.example/0.jpg", "added"),
        ("https://a.example/0-again.jpg", "copy"),
        ("https://b.example:8080/1.jpg", "added"),
        ("https://a.example/2.jpg", "refused"),
        ("https://a.example/3.jpg", "refused"),
        ("https://a.example/4.jpg", "refused"),
        ("'=cmd|'/c calc'!A1", "refused"),
        ("https://a.example/꽃", "page"),
        ("https://a.example/0.jpg", "copy"),
    ]
    assert table[0]["sha256"] == table[1]["sha256"] == sha256(image_bytes(0)).hexdigest()
    assert (table[0]["licence"], table[0]["creator"]) == ("CC BY 2.0", "'@Anna")
    assert (table[3]["sha256"], table[3]["licence"], table[3]["why"]) == ("", "", "robots")
    assert table[3]["page"] == KNOWN.page_address
    assert {row["at"] for row in table} == {"2026-01-02T03:04:05+00:00"}


def test_memory_does_not_grow_with_the_number_of_outcomes(bench: Bench) -> None:
    with bench.database.write() as session:
        session.execute(
            insert(models.IngestOutcomeRow),
            [
                {
                    "project_id": bench.project_id,
                    "name": f"https://a.example/{number}.jpg",
                    "outcome": "refused",
                    "reason": "x" * 4_000,
                    "at": NOW,
                }
                for number in range(5_000)
            ],
        )
    lines = _Counted()
    with bench.database.read() as session:
        tracemalloc.start()
        outcomes.write_outcomes_csv(session, bench.project_id, lines)
        _now, most_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert lines.count == 5_001
    assert most_bytes < 14_000_000  # all at once are 20 MB of reasons alone


class _Counted(io.StringIO):
    """A file that only counts its lines."""

    count = 0

    def write(self, text: str) -> int:
        self.count += 1
        return len(text)


def studio(bench: Bench, home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    url = bench.database.url.render_as_string(hide_password=False)
    here = {"STUDIO_HOME": str(home), "STUDIO_DATABASE_URL": url, "PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, "-m", "studio", "sources", *arguments],
        cwd=ROOT,
        env={**os.environ, **here, **environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_the_command_writes_the_table_and_counts_last(bench: Bench, home: Path) -> None:
    fill(bench)
    path = home / "어디에서.csv"
    done = studio(bench, home, "--project", "꽃 flowers", "--csv", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "8 files and URLs: 2 added, 1 duplicates, 4 skipped, 1 pages read\n"
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[0] == ",".join(outcomes.COLUMNS)
    assert len(text.splitlines()) == 9

    # The table is in UTF-8 wherever it goes, though the console may know no Korean.
    poor = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = studio(bench, home, "--project", "꽃 flowers", "--csv", "-", "--json", **poor)
    assert done.returncode == 0
    assert done.stdout.splitlines() == text.splitlines()
    counts = json.loads(done.stderr)
    assert (counts["total"], counts["added"], counts["by_why"]["missing"]) == (8, 2, 2)
    assert counts["by_site"][0]["site"] == "a.example"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_command_says_what_is_wrong(bench: Bench, home: Path) -> None:
    done = studio(bench, home, "--project", "없음", "--csv", str(home / "x.csv"))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "there is none named 없음" in done.stderr
    assert not (home / "x.csv").exists()
    done = studio(bench, home, "--project", "꽃 flowers", "--csv", str(home / "studio.sqlite3" / "x.csv"))
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
