"""A search from its phrases to the hits that are kept, with their previews."""

import io
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import func, select

from db.models import SearchHitRow
from studio.collect.web.fetcher import Limits, Visitor
from studio.collect.web.search import FoundHit, Previews, Searched, hits, search
from studio.collect.web.service import checked_phrases
from studio.errors import SearchFailed, Stopped
from studio.settings import Settings
from tests.collect.material import Bench, Watched
from tests.collect.web.service_stand_ins import (
    CommonsStandIn,
    OpenverseStandIn,
    StandIn,
    commons_page,
    openverse_result,
)


def results(*numbers: int, **changes: Any) -> list[dict[str, Any]]:
    return [openverse_result(number, **changes) for number in numbers]


@dataclass
class Searching:
    """A project in which searches are made."""

    bench: Bench
    home: Path

    @property
    def previews(self) -> Path:
        return self.home / "previews"

    def search(self, service: StandIn, *phrases: str, job_id: int | None = None, **changes: Any) -> Searched:
        commons = service.api_address if isinstance(service, CommonsStandIn) else ""
        settings = Settings(
            home=self.home,
            openverse_address=service.address,
            commons_address=commons,
            contact="test@example.org",
        )
        arguments = {
            "count": 50,
            "licences": frozenset(),
            "min_side_px": 0,
            "progress": self.bench.progress,
            **changes,
        }
        visitor = Visitor(
            agent=settings.user_agent,
            allowed_hosts=frozenset({"127.0.0.1"}),
            delay_s=0,
            limits=Limits(longest_wait_s=0.1, tries=2),
        )
        return search(
            self.bench.database,
            visitor,
            job_id=job_id or self.bench.job(),
            service="commons" if isinstance(service, CommonsStandIn) else "openverse",
            phrases=phrases or ["rose"],
            settings=settings,
            **arguments,
        )

    def hits(self, job_id: int) -> tuple[FoundHit, ...]:
        with self.bench.database.read() as session:
            return hits(session, job_id)

    def titles(self, job_id: int) -> list[str]:
        return [hit.provenance.title for hit in self.hits(job_id)]

    def files(self) -> set[str]:
        return {path.name for path in self.previews.iterdir()}


@pytest.fixture
def searching(bench: Bench, home: Path) -> Searching:
    return Searching(bench, home)


def test_hits_are_kept_in_order_with_provenance_and_previews_of_our_own(searching: Searching) -> None:
    job_id = searching.bench.job()
    with OpenverseStandIn({"rose": results(*range(30))}) as service:
        assert searching.search(service, job_id=job_id, count=25) == Searched(25)
        found = searching.hits(job_id)
    assert [hit.position for hit in found] == list(range(25))
    assert [hit.provenance.title for hit in found] == [f"Image {number}" for number in range(25)]
    assert {(hit.phrase, hit.provenance.licence) for hit in found} == {("rose", "CC BY 2.0")}
    assert {hit.preview for hit in found} == searching.files()
    for hit in found:
        with Image.open(searching.previews / hit.preview) as preview:
            assert (preview.format, preview.size) == ("WEBP", (256, 192))
    # Two pages of twenty, and one preview for each hit that is kept.
    assert [request.query["page"] for request in service.searches] == ["1", "2"]
    assert len(service.log) == 2 + 25
    assert searching.bench.progress.reports[-1] == ("Searching", 25, 25)


def test_commons_is_searched_and_its_previews_obey_robots_txt(searching: Searching) -> None:
    job_id = searching.bench.job()
    with CommonsStandIn({"rose": [commons_page(number) for number in range(3)]}, lagged=1) as service:
        assert searching.search(service, job_id=job_id) == Searched(3)
    found = searching.hits(job_id)
    assert [hit.provenance.creator for hit in found] == ["C 0", "C 1", "C 2"]
    assert {hit.preview for hit in found} == searching.files()
    assert len(service.asked("/robots.txt")) == 1


def test_phrases_share_the_count_and_a_image_belongs_to_the_first(searching: Searching) -> None:
    job_id = searching.bench.job()
    found = {
        "rose": results(1, 2),
        "red  rose": [],
        "red rose": results(2, 1, 3, 4, 5),
        "thorn": results(*range(5, 40)),
    }
    with OpenverseStandIn(found) as service:
        assert searching.search(
            service, " rose ", "red  rose", "rose", "thorn", job_id=job_id, count=12
        ) == Searched(12)
    by_phrase = [(hit.phrase, hit.provenance.title.removeprefix("Image ")) for hit in searching.hits(job_id)]
    assert by_phrase[:5] == [("rose", "1"), ("rose", "2"), *(("red rose", number) for number in "345")]
    # What the first two leave over falls to the third.
    assert by_phrase[5:] == [("thorn", str(number)) for number in range(6, 13)]
    assert [request.query["q"] for request in service.searches] == ["rose", "red rose", "thorn"]


def test_even_shares(searching: Searching) -> None:
    job_id = searching.bench.job()
    found = {words: results(*range(start, start + 30)) for start, words in ((0, "a"), (100, "b"), (200, "c"))}
    with OpenverseStandIn(found) as service:
        searching.search(service, "a", "b", "c", job_id=job_id, count=10)
    phrases = [hit.phrase for hit in searching.hits(job_id)]
    assert phrases == ["a"] * 4 + ["b"] * 3 + ["c"] * 3


def test_licences_and_sizes_are_chosen(searching: Searching) -> None:
    job_id = searching.bench.job()
    found = [*results(1), *results(2, license="cc0"), *results(3, license="cc0", width=90, height=200)]
    with OpenverseStandIn({"rose": found}) as service:
        assert searching.search(
            service, job_id=job_id, licences=frozenset({"cc0"}), min_side_px=100
        ) == Searched(1)
    assert searching.titles(job_id) == ["Image 2"]


def test_a_preview_that_fails_leaves_the_hit(searching: Searching) -> None:
    job_id = searching.bench.job()
    found = [*results(1, 2), *results(3, thumbnail=None), *results(4, thumbnail="{origin}/gone.jpg")]
    with OpenverseStandIn({"rose": found}, broken_previews=[2]) as service:
        assert searching.search(service, job_id=job_id) == Searched(4)
    assert [bool(hit.preview) for hit in searching.hits(job_id)] == [True, False, False, False]
    assert len(searching.files()) == 1


def test_nothing_of_a_strangers_file_is_in_a_preview(searching: Searching) -> None:
    job_id = searching.bench.job()
    hidden = b"<script>alert(1)</script>"
    file = io.BytesIO()
    Image.new("RGB", (100, 80), "red").save(
        file, "WEBP", exif=b"Exif\0\0" + hidden, xmp=hidden, icc_profile=hidden
    )
    assert file.getvalue().count(hidden) == 3

    class Hostile(OpenverseStandIn):
        def _preview(self, number: int) -> Any:
            reply = super()._preview(number)
            reply.body = file.getvalue() + hidden
            return reply

    with Hostile({"rose": results(1)}) as service:
        searching.search(service, job_id=job_id)
    (hit,) = searching.hits(job_id)
    assert b"script" not in (searching.previews / hit.preview).read_bytes()


def test_what_was_found_before_the_limit_is_kept_and_the_reason_said(searching: Searching) -> None:
    job_id = searching.bench.job()
    with OpenverseStandIn({"rose": results(*range(60))}, allowance=2) as service:
        searched = searching.search(service, job_id=job_id, count=60)
    assert searched.hits == 40
    assert "5 requests an hour and 100 a day" in searched.cut_short
    assert len(searching.hits(job_id)) == 40
    assert all(hit.preview for hit in searching.hits(job_id))


def test_a_refusal_at_once_is_a_fault(searching: Searching) -> None:
    with (
        OpenverseStandIn({"rose": results(1)}, allowance=0) as service,
        pytest.raises(SearchFailed, match="an hour"),
    ):
        searching.search(service)


def test_a_job_taken_up_again_goes_on_and_repeats_nothing(searching: Searching) -> None:
    job_id = searching.bench.job()
    with OpenverseStandIn({"rose": results(*range(60))}, allowance=2) as service:
        searching.search(service, job_id=job_id, count=60)
    first = searching.hits(job_id)
    # Elsewhere by now, so that its images would be others: the words find the same ones as before.
    again = OpenverseStandIn({"rose": [
        {**item, "url": item["url"].replace("{origin}", service.address)} for item in results(*range(60))
    ]})  # fmt: skip
    with again:
        assert searching.search(again, job_id=job_id, count=60) == Searched(60)
    assert searching.hits(job_id)[:40] == first
    assert searching.titles(job_id) == [f"Image {number}" for number in range(60)]
    assert len(again.log) == 3 + 20
    with again.__class__({}) as idle:
        assert searching.search(idle, job_id=job_id, count=60) == Searched(60)
        assert idle.log == []


def test_hits_can_be_read_while_the_search_goes_on(searching: Searching) -> None:
    job_id = searching.bench.job()
    seen: list[int] = []

    class Looking(Watched):
        def report(self, phase: str, done: int, total: int | None = None) -> None:
            with searching.bench.database.read() as session:
                seen.append(session.scalar(select(func.count()).select_from(SearchHitRow)) or 0)
            assert seen[-1] == done

    with OpenverseStandIn({"rose": results(*range(40))}) as service:
        searching.search(service, job_id=job_id, count=40, progress=Looking())
    assert seen[0] == 0
    assert seen[-1] == 40
    assert len(set(seen)) > 2


def test_stop_ends_a_slow_preview_and_leaves_nothing_half_written(searching: Searching) -> None:
    job_id = searching.bench.job()
    before = threading.active_count()
    with OpenverseStandIn({"rose": results(*range(40))}, slow_previews=True) as service:
        with pytest.raises(Stopped):
            searching.search(service, job_id=job_id, progress=Watched(stop_at=3))
        assert len(service.searches) == 1
    deadline = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not searching.previews.exists() or searching.files() == set()
    with OpenverseStandIn({"rose": results(*range(40))}) as service:
        assert searching.search(service, job_id=job_id, count=40) == Searched(40)


def test_stop_ends_the_wait_that_commons_asks_for(searching: Searching) -> None:
    with CommonsStandIn({"rose": [commons_page(1)]}, lagged=9, retry_after="50") as service:
        began = time.monotonic()
        with pytest.raises(Stopped):
            searching.search(service, progress=Watched(stop_at=3))
        assert time.monotonic() - began < 50  # what it asked for


def test_a_newer_search_of_the_project_lets_older_previews_go_but_no_hits(searching: Searching) -> None:
    older, newer = searching.bench.job(), searching.bench.job()
    with OpenverseStandIn({"rose": results(1, 2), "thorn": results(3)}) as service:
        searching.search(service, "rose", job_id=older)
        for path in searching.previews.iterdir():  # as if it had been yesterday
            os.utime(path, (path.stat().st_atime - 86400, path.stat().st_mtime - 86400))
        searching.search(service, "thorn", job_id=newer)
    assert [hit.preview for hit in searching.hits(older)] == ["", ""]
    assert searching.titles(older) == ["Image 1", "Image 2"]
    assert searching.files() == {hit.preview for hit in searching.hits(newer)}


def test_clearing_spares_what_is_named_and_what_is_new(searching: Searching) -> None:
    job_id = searching.bench.job()
    previews = Previews(searching.previews)
    previews.clear(searching.bench.database)  # there is no folder yet
    with OpenverseStandIn({"rose": results(1)}) as service:
        searching.search(service, job_id=job_id)
    (named,) = searching.files()
    for name in (named, "old.webp"):
        searching.previews.joinpath(name).touch()
        os.utime(searching.previews / name, (0, 0))
    searching.previews.joinpath("new.webp").touch()
    previews.clear(searching.bench.database)
    assert searching.files() == {named, "new.webp"}


@pytest.mark.parametrize(
    ("service", "phrases", "licences", "said"),
    [
        ("flickr", ["rose"], [], "expected one of openverse, commons to be searched; got flickr"),
        ("commons", ["  ", ""], [], "expected words to search for"),
        ("openverse", ["rose", "r" * 201], [], "at most 200 characters"),
        ("openverse", ["rose"], ["by", "mit"], "expected licences among by, by-sa, .*pdm; got mit"),
    ],
)
def test_what_cannot_be_searched_is_said_before_anything_is_asked(
    service: str, phrases: list[str], licences: list[str], said: str
) -> None:
    with pytest.raises(SearchFailed, match=said):
        checked_phrases(service, phrases, licences)
