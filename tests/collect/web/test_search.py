"""Image search: from phrases to stored hits with previews."""

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
from studio.collect.web.fetcher import Fetcher, FetchLimits
from studio.collect.web.search import PreviewStore, SearchHit, SearchResult, search, search_hits
from studio.collect.web.search_registry import SEARCH_SERVICES, SearchRequest
from studio.errors import SearchFailed, Stopped
from studio.images.provenance import PROVENANCE_KINDS
from studio.settings import Settings
from tests.collect.material import Bench, RecordingProgress
from tests.collect.web.fake_search_services import (
    FakeCommons,
    FakeOpenverse,
    FakeSearchService,
    commons_page,
    openverse_result,
)


def results(*numbers: int, **changes: Any) -> list[dict[str, Any]]:
    return [openverse_result(number, **changes) for number in numbers]


@dataclass
class SearchBench:
    """A project, and a search in it."""

    bench: Bench
    home: Path

    @property
    def previews(self) -> Path:
        return self.home / "previews"

    def search(
        self,
        service: FakeSearchService,
        *phrases: str,
        job_id: int | None = None,
        progress: RecordingProgress | None = None,
        **changes: Any,
    ) -> SearchResult:
        commons = service.api_address if isinstance(service, FakeCommons) else ""
        settings = Settings(
            home=self.home,
            openverse_address=service.url,
            commons_address=commons,
            contact="test@example.org",
        )
        name = "commons" if isinstance(service, FakeCommons) else "openverse"
        request = SearchRequest(name, phrases or ("rose",), **{"count": 50, **changes})
        fetcher = Fetcher(
            agent=settings.user_agent,
            allowed_hosts=frozenset({"127.0.0.1"}),
            delay_s=0,
            limits=FetchLimits(longest_wait_s=0.1, tries=2),
        )
        return search(
            self.bench.database,
            fetcher,
            request,
            job_id=job_id or self.bench.job(),
            settings=settings,
            progress=progress or self.bench.progress,
        )

    def hits(self, job_id: int) -> tuple[SearchHit, ...]:
        with self.bench.database.read() as session:
            return search_hits(session, job_id)

    def titles(self, job_id: int) -> list[str]:
        return [hit.provenance.title for hit in self.hits(job_id)]

    def files(self) -> set[str]:
        return {path.name for path in self.previews.iterdir()}


@pytest.fixture
def search_bench(bench: Bench, home: Path) -> SearchBench:
    return SearchBench(bench, home)


def test_hits_are_kept_in_order_with_provenance_and_previews_of_our_own(search_bench: SearchBench) -> None:
    job_id = search_bench.bench.job()
    with FakeOpenverse({"rose": results(*range(30))}) as service:
        assert search_bench.search(service, job_id=job_id, count=25) == SearchResult(25)
        found = search_bench.hits(job_id)
    assert [hit.position for hit in found] == list(range(25))
    assert [hit.provenance.title for hit in found] == [f"Image {number}" for number in range(25)]
    assert {(hit.phrase, hit.provenance.licence) for hit in found} == {("rose", "CC BY 2.0")}
    assert {hit.preview for hit in found} == search_bench.files()
    for hit in found:
        with Image.open(search_bench.previews / hit.preview) as preview:
            assert (preview.format, preview.size) == ("WEBP", (256, 192))
    # Two pages of twenty, and one preview for each hit that is kept.
    assert [request.query["page"] for request in service.searches] == ["1", "2"]
    assert len(service.log) == 2 + 25
    assert search_bench.bench.progress.reports[-1] == ("Searching", 25, 25)


def test_commons_is_searched_and_its_previews_obey_robots_txt(search_bench: SearchBench) -> None:
    job_id = search_bench.bench.job()
    with FakeCommons({"rose": [commons_page(number) for number in range(3)]}, lagged=1) as service:
        assert search_bench.search(service, job_id=job_id) == SearchResult(3)
    found = search_bench.hits(job_id)
    assert [hit.provenance.creator for hit in found] == ["C 0", "C 1", "C 2"]
    assert {hit.preview for hit in found} == search_bench.files()
    assert len(service.requests_to("/robots.txt")) == 1


def test_phrases_share_the_count_and_a_image_belongs_to_the_first(search_bench: SearchBench) -> None:
    job_id = search_bench.bench.job()
    found = {
        "rose": results(1, 2),
        "red  rose": [],
        "red rose": results(2, 1, 3, 4, 5),
        "thorn": results(*range(5, 40)),
    }
    with FakeOpenverse(found) as service:
        assert search_bench.search(
            service, " rose ", "red  rose", "rose", "thorn", job_id=job_id, count=12
        ) == SearchResult(12)
    by_phrase = [
        (hit.phrase, hit.provenance.title.removeprefix("Image ")) for hit in search_bench.hits(job_id)
    ]
    assert by_phrase[:5] == [("rose", "1"), ("rose", "2"), *(("red rose", number) for number in "345")]
    # What the first two leave over falls to the third.
    assert by_phrase[5:] == [("thorn", str(number)) for number in range(6, 13)]
    assert [request.query["q"] for request in service.searches] == ["rose", "red rose", "thorn"]


def test_even_shares(search_bench: SearchBench) -> None:
    job_id = search_bench.bench.job()
    found = {words: results(*range(start, start + 30)) for start, words in ((0, "a"), (100, "b"), (200, "c"))}
    with FakeOpenverse(found) as service:
        search_bench.search(service, "a", "b", "c", job_id=job_id, count=10)
    phrases = [hit.phrase for hit in search_bench.hits(job_id)]
    assert phrases == ["a"] * 4 + ["b"] * 3 + ["c"] * 3


def test_licences_and_sizes_are_chosen(search_bench: SearchBench) -> None:
    job_id = search_bench.bench.job()
    found = [*results(1), *results(2, license="cc0"), *results(3, license="cc0", width=90, height=200)]
    with FakeOpenverse({"rose": found}) as service:
        assert search_bench.search(
            service, job_id=job_id, licences=("cc0",), min_side_px=100
        ) == SearchResult(1)
    assert search_bench.titles(job_id) == ["Image 2"]


def test_a_preview_that_fails_leaves_the_hit(search_bench: SearchBench) -> None:
    job_id = search_bench.bench.job()
    found = [*results(1, 2), *results(3, thumbnail=None), *results(4, thumbnail="{origin}/gone.jpg")]
    with FakeOpenverse({"rose": found}, broken_previews=[2]) as service:
        assert search_bench.search(service, job_id=job_id) == SearchResult(4)
    assert [bool(hit.preview) for hit in search_bench.hits(job_id)] == [True, False, False, False]
    assert len(search_bench.files()) == 1


def test_previews_contain_no_untrusted_bytes(search_bench: SearchBench) -> None:
    job_id = search_bench.bench.job()
    hidden = b"<script>alert(1)</script>"
    file = io.BytesIO()
    Image.new("RGB", (100, 80), "red").save(
        file, "WEBP", exif=b"Exif\0\0" + hidden, xmp=hidden, icc_profile=hidden
    )
    assert file.getvalue().count(hidden) == 3

    class Hostile(FakeOpenverse):
        def _preview(self, number: int) -> Any:
            reply = super()._preview(number)
            reply.body = file.getvalue() + hidden
            return reply

    with Hostile({"rose": results(1)}) as service:
        search_bench.search(service, job_id=job_id)
    (hit,) = search_bench.hits(job_id)
    assert b"script" not in (search_bench.previews / hit.preview).read_bytes()


def test_hits_before_the_rate_limit_are_kept_with_the_reason(search_bench: SearchBench) -> None:
    job_id = search_bench.bench.job()
    with FakeOpenverse({"rose": results(*range(60))}, allowance=2) as service:
        searched = search_bench.search(service, job_id=job_id, count=60)
    assert searched.hits == 40
    assert "5 requests an hour and 100 a day" in searched.cut_short
    assert len(search_bench.hits(job_id)) == 40
    assert all(hit.preview for hit in search_bench.hits(job_id))


def test_an_immediate_refusal_is_an_error(search_bench: SearchBench) -> None:
    with (
        FakeOpenverse({"rose": results(1)}, allowance=0) as service,
        pytest.raises(SearchFailed, match="an hour"),
    ):
        search_bench.search(service)


def test_a_job_taken_up_again_goes_on_and_repeats_nothing(search_bench: SearchBench) -> None:
    job_id = search_bench.bench.job()
    with FakeOpenverse({"rose": results(*range(60))}, allowance=2) as service:
        search_bench.search(service, job_id=job_id, count=60)
    first = search_bench.hits(job_id)
    # Elsewhere by now, so that its images would be others: the words find the same ones as before.
    again = FakeOpenverse({"rose": [
        {**item, "url": item["url"].replace("{origin}", service.url)} for item in results(*range(60))
    ]})  # fmt: skip
    with again:
        assert search_bench.search(again, job_id=job_id, count=60) == SearchResult(60)
    assert search_bench.hits(job_id)[:40] == first
    assert search_bench.titles(job_id) == [f"Image {number}" for number in range(60)]
    assert len(again.log) == 3 + 20
    with again.__class__({}) as idle:
        assert search_bench.search(idle, job_id=job_id, count=60) == SearchResult(60)
        assert idle.log == []


def test_hits_can_be_read_while_the_search_goes_on(search_bench: SearchBench) -> None:
    job_id = search_bench.bench.job()
    seen: list[int] = []

    class Looking(RecordingProgress):
        def report(self, phase: str, done: int, total: int | None = None) -> None:
            with search_bench.bench.database.read() as session:
                seen.append(session.scalar(select(func.count()).select_from(SearchHitRow)) or 0)
            assert seen[-1] == done

    with FakeOpenverse({"rose": results(*range(40))}) as service:
        search_bench.search(service, job_id=job_id, count=40, progress=Looking())
    assert seen[0] == 0
    assert seen[-1] == 40
    assert len(set(seen)) > 2


def test_stop_ends_a_slow_preview_and_leaves_nothing_half_written(search_bench: SearchBench) -> None:
    job_id = search_bench.bench.job()
    before = threading.active_count()
    with FakeOpenverse({"rose": results(*range(40))}, slow_previews=True) as service:
        with pytest.raises(Stopped):
            search_bench.search(service, job_id=job_id, progress=RecordingProgress(stop_at=3))
        assert len(service.searches) == 1
    deadline = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not search_bench.previews.exists() or search_bench.files() == set()
    with FakeOpenverse({"rose": results(*range(40))}) as service:
        assert search_bench.search(service, job_id=job_id, count=40) == SearchResult(40)


def test_stop_ends_the_wait_that_commons_asks_for(search_bench: SearchBench) -> None:
    with FakeCommons({"rose": [commons_page(1)]}, lagged=9, retry_after="50") as service:
        began = time.monotonic()
        with pytest.raises(Stopped):
            search_bench.search(service, progress=RecordingProgress(stop_at=3))
        assert time.monotonic() - began < 50  # what it asked for


def test_a_newer_search_of_the_project_lets_older_previews_go_but_no_hits(search_bench: SearchBench) -> None:
    older, newer = search_bench.bench.job(), search_bench.bench.job()
    with FakeOpenverse({"rose": results(1, 2), "thorn": results(3)}) as service:
        search_bench.search(service, "rose", job_id=older)
        for path in search_bench.previews.iterdir():  # as if it had been yesterday
            os.utime(path, (path.stat().st_atime - 86400, path.stat().st_mtime - 86400))
        search_bench.search(service, "thorn", job_id=newer)
    assert [hit.preview for hit in search_bench.hits(older)] == ["", ""]
    assert search_bench.titles(older) == ["Image 1", "Image 2"]
    assert search_bench.files() == {hit.preview for hit in search_bench.hits(newer)}


def test_clearing_spares_what_is_named_and_what_is_new(search_bench: SearchBench) -> None:
    job_id = search_bench.bench.job()
    previews = PreviewStore(search_bench.previews)
    previews.clear(search_bench.bench.database)  # there is no folder yet
    with FakeOpenverse({"rose": results(1)}) as service:
        search_bench.search(service, job_id=job_id)
    (named,) = search_bench.files()
    for name in (named, "old.webp"):
        search_bench.previews.joinpath(name).touch()
        os.utime(search_bench.previews / name, (0, 0))
    search_bench.previews.joinpath("new.webp").touch()
    previews.clear(search_bench.bench.database)
    assert search_bench.files() == {named, "new.webp"}


@pytest.mark.parametrize(
    ("service", "phrases", "licences", "message"),
    [
        ("flickr", ["rose"], [], "expected one of openverse, commons to be searched; got flickr"),
        ("commons", ["  ", ""], [], "expected words to search for"),
        ("openverse", ["rose", "r" * 201], [], "at most 200 characters"),
        ("openverse", ["rose"], ["by", "mit"], "expected licences among by, by-sa, .*pdm; got mit"),
    ],
)
def test_invalid_requests_are_rejected_before_any_query(
    service: str, phrases: list[str], licences: list[str], message: str
) -> None:
    with pytest.raises(SearchFailed, match=message):
        SearchRequest(service, tuple(phrases), 50, tuple(licences)).checked()


def test_no_service_has_the_name_of_another_kind_of_provenance() -> None:
    assert not SEARCH_SERVICES.keys() & PROVENANCE_KINDS.keys()


def test_a_request_survives_as_a_jobs_arguments() -> None:
    request = SearchRequest("commons", ("red rose", "bud"), 20, ("by", "cc0"), 100)
    assert SearchRequest.from_arguments(request.to_arguments()) == request
