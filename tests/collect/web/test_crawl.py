"""A crawl of a real site on loopback: what is found and refused, how it is asked, what survives a stop."""

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
from studio.collect.web.crawl import Plan, ingest_crawl
from studio.collect.web.fetcher import Limits, Visitor
from studio.errors import ImageRefused, SourceMissing, Stopped
from tests.collect.material import Bench, Watched
from tests.collect.web.garden import ADDED, READ, REFUSED, TROUBLES, Garden, standing

LOOPBACK = frozenset({"127.0.0.1"})


@pytest.fixture
def garden() -> Iterator[Garden]:
    with standing(Garden()) as made:
        yield made


def crawl(
    bench: Bench, garden: Garden, job_id: int, *, limits: Limits | None = None, **plan: object
) -> IngestReport:
    agent = "retrain-studio/test (+a@b.example)"
    visitor = Visitor(agent=agent, allowed_hosts=LOOPBACK, delay_s=0, limits=limits)
    wanted = replace(Plan((garden.address,), "rose", depth=2), **plan)  # type: ignore[arg-type]
    return ingest_crawl(
        bench.database, bench.store, bench.project_id, wanted, visitor, **bench.ingesting(job_id)
    )


def outcomes(bench: Bench, garden: Garden) -> dict[str, tuple[str, str]]:
    """What became of each address, by its path on the site."""
    with bench.database.read() as session:
        rows = session.scalars(select(models.IngestOutcomeRow)).all()
    return {row.name.removeprefix(garden.address): (row.outcome, row.why) for row in rows}


def test_finds_and_refusals_are_exactly_those_of_the_list(bench: Bench, garden: Garden) -> None:
    report = crawl(bench, garden, bench.job())
    found = outcomes(bench, garden)
    copies = {path for path, (outcome, _why) in found.items() if outcome == "copy"}
    # Which of the two is the copy depends on which came first.
    assert copies in ({"/copy.jpg"}, {"/photos/0.jpg"})
    added = {path for path, (outcome, _why) in found.items() if outcome == "added"}
    assert added | copies == {*ADDED, "/copy.jpg"}
    assert {path: why for path, (outcome, why) in found.items() if outcome == "refused"} == REFUSED
    assert {path for path, (outcome, _why) in found.items() if outcome == "page"} == set(READ)
    assert (report.added, report.copies, len(report.refused)) == (len(ADDED), 1, len(REFUSED))
    assert set(bench.labels().values()) == {"rose"}


def test_the_sites_own_log_shows_that_its_rules_were_kept(bench: Bench, garden: Garden) -> None:
    crawl(bench, garden, bench.job())
    paths = garden.paths()
    assert not [path for path in paths if path in ("/private/closed.jpg", "/private/diary", "/unwanted.jpg")]
    assert sum(asked.path == "/robots.txt" for asked in garden.log) == 1
    assert garden.most_at_once <= 2
    assert {asked.headers["User-Agent"] for asked in garden.log} == {"retrain-studio/test (+a@b.example)"}
    again = Counter(path for path in paths if path != "/round.jpg")
    assert [path for path, times in again.items() if times > 1] == ["/after-wait.jpg"]
    first, second = (asked.began_s for asked in garden.log if asked.path == "/after-wait.jpg")
    assert second - first >= 1.0  # as its Retry-After asked


def test_the_delay_between_two_requests_is_kept(bench: Bench) -> None:
    with standing(Garden(crawl_delay_s=0.15)) as garden:
        crawl(bench, garden, bench.job(), depth=0, max_images=4)
        times = [asked.began_s for asked in garden.log]
        assert len(times) > 4
        assert min(after - before for before, after in pairwise(times)) > 0.1  # 0.15, and the way there


def test_provenance_come_with_the_images_and_stay_text(bench: Bench, garden: Garden) -> None:
    crawl(bench, garden, bench.job())
    with bench.database.read() as session:
        provenance = session.scalars(
            select(models.ProvenanceRow).where(models.ProvenanceRow.address == f"{garden.address}/ld.jpg")
        ).one()
    assert (provenance.kind, provenance.title, provenance.creator) == ("crawl", "A rose", "Ann Bee")
    assert (provenance.licence, provenance.page_address) == ("CC BY 4.0", f"{garden.address}/")
    assert provenance.licence_address == "https://creativecommons.org/licenses/by/4.0/"
    assert "robots.txt" in provenance.robots


def test_a_second_crawl_asks_only_what_has_changed(bench: Bench, garden: Garden) -> None:
    crawl(bench, garden, bench.job())
    first = len(garden.log)
    report = crawl(bench, garden, bench.job())
    again = [asked for asked in garden.log[first:] if asked.status == 200 and "calendar" not in asked.path]
    assert {asked.path for asked in again} <= {"/robots.txt", *REFUSED}
    assert (report.added, report.copies) == (0, len(ADDED) + 1)


@pytest.mark.parametrize(("limit", "reached"), [({"max_pictures": 5}, 5), ({"max_pages": 1}, None)])
def test_a_limit_ends_it_and_the_rest_has_its_reason(
    bench: Bench, garden: Garden, limit: dict[str, Any], reached: int | None
) -> None:
    report = crawl(bench, garden, bench.job(), **limit)
    left = [path for path, (_outcome, why) in outcomes(bench, garden).items() if why == "limit"]
    assert left
    assert not set(left) & set(garden.paths())
    if reached is not None:
        assert report.added == reached


def test_a_stop_is_heard_and_what_waits_is_asked_when_it_goes_on(bench: Bench) -> None:
    with standing(Garden(delay_s=0.2)) as garden:
        job = bench.job()
        bench.progress = Watched(stop_at=12)
        with pytest.raises(Stopped):
            crawl(bench, garden, job)
        time.sleep(1)  # what was under way may still arrive
        asked = len(garden.log)
        time.sleep(1)
        assert len(garden.log) == asked  # nobody asks any more
        assert not [path for path in bench.store.root.rglob("*") if path.suffix in (".part", ".tmp")]
        first = Counter(garden.paths())
        written = set(outcomes(bench, garden))
        bench.progress = Watched()
        report = crawl(bench, garden, job)
        assert (report.added, report.copies, len(report.refused)) == (len(ADDED), 1, len(REFUSED))
        second = Counter(garden.paths()) - first
        assert not (written & set(second)) - {"/after-wait.jpg"}  # what was finished is not asked again


def test_links_that_turn_out_to_be_images_hold_nothing_up(bench: Bench) -> None:
    with standing(Garden(delay_s=0.3)) as garden:
        crawl(bench, garden, bench.job(), addresses=(f"{garden.address}/only",))
        found = outcomes(bench, garden)
        assert found["/view"] == ("added", "")
        assert found["/hollow"] == ("refused", "damaged")  # an empty file that calls itself an image
        assert found["/second"] == ("page", "")  # two links away, behind the images


def test_bodies_that_do_not_come_to_an_end_cost_only_themselves(bench: Bench, garden: Garden) -> None:
    page = f"{garden.address}/troubles"
    limits = Limits(first_byte_s=1.0, total_s=3.0)
    report = crawl(bench, garden, bench.job(), addresses=(page,), depth=0, limits=limits)
    found = outcomes(bench, garden)
    assert {path: why for path, (outcome, why) in found.items() if outcome == "refused"} == TROUBLES
    assert found["/photos/0.jpg"] == ("added", "")
    assert (report.added, report.copies, len(report.refused)) == (1, 0, len(TROUBLES))
    kept = [path for path in bench.store.root.rglob("*") if path.is_file()]
    assert len(kept) == 2, "the good image with its thumbnail, and nothing of the others"


@pytest.mark.parametrize("address", ["http://127.0.0.1/", "ftp://a.example/", "http://u@a.example/", "x"])
def test_addresses_that_are_not_asked_are_refused_before_anything_is(bench: Bench, address: str) -> None:
    plan = Plan((address,), "rose")
    if address == "http://127.0.0.1/":
        visitor = Visitor(agent="a")
        report = ingest_crawl(
            bench.database, bench.store, bench.project_id, plan, visitor, **bench.ingesting(bench.job())
        )
        assert [refusal.why for refusal in report.refused] == ["address"]
    else:
        with pytest.raises(ImageRefused):
            plan.checked()


def test_a_plan_says_what_it_needs() -> None:
    with pytest.raises(SourceMissing, match="at least one address"):
        Plan((), None).checked()
    with pytest.raises(SourceMissing, match="0 to 3"):
        Plan(("http://a.example/",), None, depth=4).checked()
    plan = Plan(("http://A.example:80/x#y", "http://a.example/x"), "rose", sites=(" B.example ",)).checked()
    assert plan.addresses == ("http://a.example/x",)
    assert Plan.of(plan.arguments()) == plan
