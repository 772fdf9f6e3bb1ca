"""A crawl of a site on loopback: outcomes, politeness and resuming."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select

from db import models
from studio.collect.ingest import IngestReport
from studio.collect.web.crawl import CrawlPlan, ingest_crawl
from studio.collect.web.fetcher import Fetcher, FetchLimits
from studio.errors import ImageRefused, SourceMissing, Stopped
from tests.collect.material import Bench, RecordingProgress
from tests.collect.web.sample_site import ADDED, PAGES_READ, SKIPPED, TROUBLES, SampleSite, serve

LOOPBACK = frozenset({"127.0.0.1"})


@pytest.fixture
def site() -> Iterator[SampleSite]:
    with serve(SampleSite()) as made:
        yield made


def crawl(
    bench: Bench, site: SampleSite, job_id: int, *, limits: FetchLimits | None = None, **plan: object
) -> IngestReport:
    agent = "retrain-studio/test (+a@b.example)"
    fetcher = Fetcher(agent=agent, allowed_hosts=LOOPBACK, delay_s=0, limits=limits)
    wanted = replace(CrawlPlan((site.url,), "rose", depth=2), **plan)  # type: ignore[arg-type]
    return ingest_crawl(bench.context(job_id), fetcher, wanted)


def outcomes(bench: Bench, site: SampleSite) -> dict[str, tuple[str, str]]:
    """Return the outcome and skip reason of each URL, by its path on the site."""
    with bench.database.read() as session:
        rows = session.scalars(select(models.IngestOutcomeRow)).all()
    return {row.name.removeprefix(site.url): (row.outcome, row.skip_reason) for row in rows}


def test_added_and_skipped_are_exactly_those_expected(bench: Bench, site: SampleSite) -> None:
    report = crawl(bench, site, bench.job())
    found = outcomes(bench, site)
    copies = {path for path, (outcome, _why) in found.items() if outcome == "copy"}
    # Which of the two is the copy depends on which came first.
    assert copies in ({"/copy.jpg"}, {"/photos/0.jpg"})
    added = {path for path, (outcome, _why) in found.items() if outcome == "added"}
    assert added | copies == {*ADDED, "/copy.jpg"}
    assert {path: why for path, (outcome, why) in found.items() if outcome == "refused"} == SKIPPED
    assert {path for path, (outcome, _why) in found.items() if outcome == "page"} == set(PAGES_READ)
    assert (report.added, report.duplicates, len(report.skipped)) == (len(ADDED), 1, len(SKIPPED))
    assert set(bench.labels().values()) == {"rose"}


def test_the_sites_own_log_shows_that_its_rules_were_kept(bench: Bench, site: SampleSite) -> None:
    crawl(bench, site, bench.job())
    paths = site.paths()
    assert not [path for path in paths if path in ("/private/closed.jpg", "/private/diary", "/unwanted.jpg")]
    assert sum(asked.path == "/robots.txt" for asked in site.log) == 1
    assert site.most_at_once <= 2
    assert {asked.headers["User-Agent"] for asked in site.log} == {"retrain-studio/test (+a@b.example)"}
    again = Counter(path for path in paths if path != "/round.jpg")
    assert [path for path, times in again.items() if times > 1] == ["/after-wait.jpg"]
    first, second = (asked.began_s for asked in site.log if asked.path == "/after-wait.jpg")
    assert second - first >= 1.0  # as its Retry-After asked


def test_the_delay_between_two_requests_is_kept(bench: Bench) -> None:
    with serve(SampleSite(crawl_delay_s=0.15)) as site:
        crawl(bench, site, bench.job(), depth=0, max_images=4)
        times = [asked.began_s for asked in site.log]
        assert len(times) > 4
        assert min(after - before for before, after in pairwise(times)) > 0.1  # 0.15, and the way there


def test_provenance_come_with_the_images_and_stay_text(bench: Bench, site: SampleSite) -> None:
    crawl(bench, site, bench.job())
    with bench.database.read() as session:
        provenance = session.scalars(
            select(models.ProvenanceRow).where(models.ProvenanceRow.address == f"{site.url}/ld.jpg")
        ).one()
    assert (provenance.kind, provenance.title, provenance.creator) == ("crawl", "A rose", "Ann Bee")
    assert (provenance.licence, provenance.page_address) == ("CC BY 4.0", f"{site.url}/")
    assert provenance.licence_address == "https://creativecommons.org/licenses/by/4.0/"
    assert "robots.txt" in provenance.robots


def test_a_second_crawl_asks_only_what_has_changed(bench: Bench, site: SampleSite) -> None:
    crawl(bench, site, bench.job())
    first = len(site.log)
    report = crawl(bench, site, bench.job())
    again = [asked for asked in site.log[first:] if asked.status == 200 and "calendar" not in asked.path]
    assert {asked.path for asked in again} <= {"/robots.txt", *SKIPPED}
    assert (report.added, report.duplicates) == (0, len(ADDED) + 1)


@pytest.mark.parametrize(("limit", "reached"), [({"max_images": 5}, 5), ({"max_pages": 1}, None)])
def test_a_limit_ends_the_crawl_and_the_rest_is_skipped_with_a_reason(
    bench: Bench, site: SampleSite, limit: dict[str, Any], reached: int | None
) -> None:
    report = crawl(bench, site, bench.job(), **limit)
    left = [path for path, (_outcome, why) in outcomes(bench, site).items() if why == "limit"]
    assert left
    assert not set(left) & set(site.paths())
    if reached is not None:
        assert report.added == reached


def test_a_stopped_crawl_resumes_with_the_waiting_urls(bench: Bench) -> None:
    with serve(SampleSite(delay_s=0.2)) as site:
        job = bench.job()
        bench.progress = RecordingProgress(stop_at=12)
        with pytest.raises(Stopped):
            crawl(bench, site, job)
        time.sleep(1)  # what was under way may still arrive
        asked = len(site.log)
        time.sleep(1)
        assert len(site.log) == asked  # nobody asks any more
        assert not [path for path in bench.store.root.rglob("*") if path.suffix in (".part", ".tmp")]
        first = Counter(site.paths())
        written = set(outcomes(bench, site))
        bench.progress = RecordingProgress()
        report = crawl(bench, site, job)
        assert (report.added, report.duplicates, len(report.skipped)) == (len(ADDED), 1, len(SKIPPED))
        second = Counter(site.paths()) - first
        assert not (written & set(second)) - {"/after-wait.jpg"}  # what was finished is not fetched again


def test_links_that_turn_out_to_be_images_do_not_block_the_crawl(bench: Bench) -> None:
    with serve(SampleSite(delay_s=0.3)) as site:
        crawl(bench, site, bench.job(), start_urls=(f"{site.url}/only",))
        found = outcomes(bench, site)
        assert found["/view"] == ("added", "")
        assert found["/hollow"] == ("refused", "damaged")  # an empty file that calls itself an image
        assert found["/second"] == ("page", "")  # two links away, behind the images


def test_bodies_that_do_not_come_to_an_end_cost_only_themselves(bench: Bench, site: SampleSite) -> None:
    page = f"{site.url}/troubles"
    limits = FetchLimits(first_byte_s=1.0, total_s=3.0)
    report = crawl(bench, site, bench.job(), start_urls=(page,), depth=0, limits=limits)
    found = outcomes(bench, site)
    assert {path: why for path, (outcome, why) in found.items() if outcome == "refused"} == TROUBLES
    assert found["/photos/0.jpg"] == ("added", "")
    assert (report.added, report.duplicates, len(report.skipped)) == (1, 0, len(TROUBLES))
    kept = [path for path in bench.store.root.rglob("*") if path.is_file()]
    assert len(kept) == 2, "the good image with its thumbnail, and nothing of the others"


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "ftp://a.example/", "http://u@a.example/", "x"])
def test_invalid_start_urls_are_rejected_before_any_request(bench: Bench, url: str) -> None:
    plan = CrawlPlan((url,), "rose")
    if url == "http://127.0.0.1/":
        fetcher = Fetcher(agent="a")
        report = ingest_crawl(bench.context(bench.job()), fetcher, plan)
        assert [skipped.skip_reason for skipped in report.skipped] == ["address"]
    else:
        with pytest.raises(ImageRefused):
            plan.checked()


def test_a_plan_says_what_it_needs() -> None:
    with pytest.raises(SourceMissing, match="at least one URL"):
        CrawlPlan((), None).checked()
    with pytest.raises(SourceMissing, match="0 to 3"):
        CrawlPlan(("http://a.example/",), None, depth=4).checked()
    plan = CrawlPlan(
        ("http://A.example:80/x#y", "http://a.example/x"), "rose", sites=(" B.example ",)
    ).checked()
    assert plan.start_urls == ("http://a.example/x",)
    assert CrawlPlan.from_arguments(plan.to_arguments()) == plan
