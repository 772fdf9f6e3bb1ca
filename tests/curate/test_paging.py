"""Walking through images: each once, in order, whatever the filter, and never by reading whole tables."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from sqlalchemy import event, select, text, update
from sqlalchemy.orm import Session

from db.engine import Database
from db.migrate import migrate
from db.models import DuplicateGroupRow, FindingRow, ImageRow, LabelClashRow, LabelRow, ProvenanceRow
from studio.curate import history
from studio.curate.classes import project_counts
from studio.curate.filters import Filter, count_facets, parse_filter
from studio.curate.items import grid_items
from studio.curate.paging import SORT_ORDERS, SimilarTo, SortOrder, next_page
from studio.curate.params import InvalidRequest
from studio.datasets.splits import SPLITS, split_of
from tests.conftest import NOW
from tests.curate.material import large, small

UNLABELLED_KINDS = ("suggestion", "next", "uncertain")
IMAGE_ISSUES = ("blurred", "dark", "blank", "small", "shape", "far")
FILTERS: list[dict[str, str]] = [
    {},
    {"state": "unlabelled"},
    {"state": "rejected"},
    {"class": "3"},
    {"class": "3", "state": "rejected"},
    {"suggested": "2"},
    {"source": "crawl"},
    {"licence": "unknown", "state": "labelled"},
    {"licence": "known"},
    {"licence": "CC BY 2.0"},
    {"split": "testing"},
    {"split": "training", "class": "2"},
    {"found": "doubtful"},
    {"found": "doubtful", "class": "1"},
    {"found": "suggestion", "suggested": "4"},
    {"found": "blurred"},
    {"found": "blurred", "state": "rejected"},
    {"found": "spread", "split": "validation"},
    {"copies": "1"},
    {"copies": "1", "state": "rejected"},
    {"text": "FLOWER 5"},
    {"text": "꽃 anna photo%"},
    {"from": "2026-01-02", "to": "2026-01-03", "state": "labelled"},
    {"from": "2026-02-01"},
    {"clash": "1"},
    {"clash": "1", "found": "doubtful", "split": "training"},
]


@dataclass
class ImageFacts:
    """All that a filter can ask of one image, gathered without any of the code under test."""

    state: str
    class_id: int | None
    found: dict[str, tuple[float, int | None]]
    """Open findings."""
    places: list[ProvenanceRow]
    group: int | None
    has_copy: bool
    split: str
    clash: bool

    def passes(self, asked: Filter) -> bool:
        rejected_too = asked.state is not None or not (
            asked.has_duplicates or asked.result_kind in IMAGE_ISSUES
        )
        texts = [p.address + p.title + p.creator + p.licence for p in self.places]
        licences = {p.licence for p in self.places}
        known = bool(licences - {""}) or any(p.kind in ("camera", "drawing") for p in self.places)
        licensed = {"known": known, "unknown": not known}.get(asked.licence or "", asked.licence in licences)
        days = [p.found_at.astimezone().date() for p in self.places]
        return (
            asked.state in (None, self.state)
            and asked.class_id in (None, self.class_id)
            and (rejected_too or self.state != "rejected")
            and (
                asked.suggested_class_id is None
                or self.found.get("suggestion", (0, 0))[1] == asked.suggested_class_id
            )
            and (asked.source is None or asked.source in {p.kind for p in self.places})
            and (asked.licence is None or licensed)
            and asked.split in (None, self.split)
            and (
                asked.result_kind is None
                or self.score(asked.result_kind) >= (0.5 if asked.result_kind == "doubtful" else 0)
            )
            and (self.has_copy or not asked.has_duplicates)
            and all(any(word.lower() in each.lower() for each in texts) for word in asked.search_words)
            and (asked.since is None or any(day >= asked.since for day in days))
            and (asked.until is None or any(day <= asked.until for day in days))
            and (self.clash or not asked.has_clash)
        )

    def score(self, kind: str) -> float:
        return self.found.get(kind, (-1.0, None))[0]


def gather(session: Session) -> dict[int, ImageFacts]:
    images: dict[int, ImageFacts] = {}
    digests = {row.id: row.sha256 for row in session.scalars(select(ImageRow))}
    groups = {row.image_id: row.group_id for row in session.scalars(select(DuplicateGroupRow))}
    clashes = set(session.scalars(select(LabelClashRow.image_id)))
    labels = {row.image_id: row for row in session.scalars(select(LabelRow))}
    for image, label in labels.items():
        group = groups.get(image)
        images[image] = ImageFacts(
            state=label.state,
            class_id=label.class_id,
            found={},
            places=[],
            group=group,
            has_copy=group is not None
            and any(g == group and i != image and labels[i].state != "rejected" for i, g in groups.items()),
            split=max(
                (
                    each.split
                    for i, each in labels.items()
                    if each.split
                    and (i == image or (group and groups.get(i) == group and each.state == "labelled"))
                ),
                key=SPLITS.index,
                default=split_of(digests[group or image], 10, 10, 0),
            ),
            clash=image in clashes,
        )
    for place in session.scalars(select(ProvenanceRow)):
        images[place.image_id].places.append(place)
    for finding in session.scalars(select(FindingRow)):
        label = labels[finding.image_id]
        answered = finding.kind in UNLABELLED_KINDS and label.state != "unlabelled"
        answered |= finding.kind == "doubtful" and label.operation_number > finding.operation_number
        if not answered:
            images[finding.image_id].found[finding.kind] = (finding.score, finding.class_id)
    return images


def expected(images: dict[int, ImageFacts], order: SortOrder, asked: Filter) -> list[int]:
    passing = {image: each for image, each in images.items() if each.passes(asked)}
    if order == "oldest":
        return sorted(passing)
    newest = sorted(passing, reverse=True)
    by = asked.result_kind if order == "strongest" else order
    if by is None or by == "newest":
        return newest
    if order == "group":
        grouped = sorted((-each.group, image) for image, each in passing.items() if each.group is not None)
        return [image for _group, image in grouped] + [i for i in newest if passing[i].group is None]
    scored = sorted(newest, key=lambda image: -passing[image].score(by))
    return [i for i in scored if by in passing[i].found] + [i for i in newest if by not in passing[i].found]


def steps(session: Session, order: SortOrder, asked: Filter, limit: int, **more: Any) -> Iterator[list[int]]:
    after: str | None = None
    while True:
        step = next_page(session, 1, order, asked, after=after, limit=limit, **more)
        yield list(step.ids)
        after = step.next_cursor
        if after is None:
            return


def all_pages(session: Session, order: SortOrder, asked: Filter, limit: int, **more: Any) -> list[int]:
    return [image for ids in steps(session, order, asked, limit, **more) for image in ids]


def test_every_order_and_filter_against_plain_rules(database: Database) -> None:
    large(database, 700)
    with database.write() as session:
        # Some given splits, some doubts answered since, and findings of what an image is no more.
        session.execute(update(LabelRow).where(LabelRow.image_id % 9 == 0).values(split="testing"))
        session.execute(update(LabelRow).where(LabelRow.image_id % 21 == 0).values(split="training"))
        session.execute(update(LabelRow).where(LabelRow.image_id % 11 == 0).values(operation_number=2))
        later = NOW + timedelta(days=60)
        session.execute(update(ProvenanceRow).where(ProvenanceRow.image_id % 5 == 0).values(found_at=later))
    small(database, 5, "other", first=701)
    with database.read() as session:
        images = gather(session)
        images = {image: each for image, each in images.items() if image <= 700}
        for asked in map(parse_filter, FILTERS):
            for order in SORT_ORDERS[:-1]:
                wanted = expected(images, order, asked)
                assert all_pages(session, order, asked, 97) == wanted, (order, asked)
                assert all_pages(session, order, asked, 8_192) == wanted, (order, asked)
    assert len(expected(images, "newest", parse_filter({"found": "blurred"}))) > 0


def test_a_page_examines_a_limited_number_of_candidates(database: Database) -> None:
    large(database, 700)
    with database.read() as session:
        rare = list(steps(session, "newest", parse_filter({"text": "700.jpg"}), 100))
        assert (rare[0], [len(ids) for ids in rare[1:]]) == ([700], [0] * 7)
        assert len(list(steps(session, "newest", parse_filter({"class": "1"}), 10))) > 5


TEXTS = {
    1: {"address": "https://정원.example/a_b.jpg"},
    2: {"address": f"https://garden.example/{quote('장미')}/1.jpg"},
    3: {"address": "새 폴더/Rose\N{COMBINING ACUTE ACCENT}.png", "title": "100% wool"},
    4: {"address": "x.png", "title": "ÖSTERREICH", "creator": "Anna\\Müller"},
    5: {"address": "axb.jpg", "licence": "CC BY 2.0", "page_address": "https://p.example/Rosenhof"},
}


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("정원", {1}),
        ("a_b", {1}),
        ("장미", {2}),
        ("rosé", {3}),
        ("100%", {3}),
        ("österreich", {4}),
        ("anna\\müller", {4}),
        ("ROSENHOF cc", {5}),
        ("rosenhof wool", set()),
        ("rose", {3, 5}),
        ("EXAMPLE", {1, 2, 5}),
        ("%", {2, 3}),
    ],
)
def test_words(database: Database, words: str, wanted: set[int]) -> None:
    small(database, 5)
    with database.write() as session:
        for image, texts in TEXTS.items():
            session.execute(update(ProvenanceRow).where(ProvenanceRow.image_id == image).values(**texts))
    with database.read() as session:
        assert set(all_pages(session, "newest", parse_filter({"text": words}), 100)) == wanted


@pytest.mark.parametrize(
    "asked",
    [
        {"state": "Labelled"},
        {"class": "x"},
        {"class": "99999999999"},
        {"suggested": "-1"},
        {"split": "test"},
        {"found": "nice"},
        {"copies": "yes"},
        {"from": "2026-02-30"},
        {"to": "tomorrow"},
        {"text": "x" * 201},
        {"text": "a b c d e f g h i j k"},
    ],
)
def test_an_invalid_filter_is_an_error(asked: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="expected"):
        parse_filter(asked)


@pytest.mark.parametrize(
    "after", ["", "x", "0", "1:5", "0:x", "0:1:2", "-1:4", "9:1", "0:9999999999999", "²:1"]
)
def test_an_invalid_cursor_is_an_error(database: Database, after: str) -> None:
    small(database, 3)
    with database.read() as session, pytest.raises(InvalidRequest, match="Reload the page"):
        next_page(session, 1, "newest", Filter(), after=after)
    with database.read() as session, pytest.raises(InvalidRequest):
        next_page(session, 1, "spread", Filter(), after="0:nothing:4")


def test_similar_images_come_first_and_images_without_analysis_last(
    database: Database, tmp_path: Path
) -> None:
    large(database, 700)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(650, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(tmp_path / "vectors.npy", vectors)
    np.save(tmp_path / "ids.npy", np.arange(1, 651, dtype=np.int64))
    nearest = (np.argsort(-(vectors @ vectors[41]), kind="stable") + 1).tolist()
    with database.read() as session:
        images = gather(session)
        for asked in map(parse_filter, ({}, {"state": "labelled"}, {"split": "testing", "licence": "known"})):
            wanted = [i for i in [*nearest, *range(700, 650, -1)] if images[i].passes(asked)]
            for limit in (97, 8_192):
                assert all_pages(session, "alike", asked, limit, similar_to=SimilarTo(tmp_path, 42)) == wanted
        for folder, image in ((tmp_path, 700), (tmp_path / "none", 42)):
            with pytest.raises(InvalidRequest, match="not been compared"):
                next_page(session, 1, "alike", Filter(), similar_to=SimilarTo(folder, image))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A hundred thousand images."""
    file = tmp_path_factory.mktemp("큰 정원") / "studio.sqlite3"
    database = Database(f"sqlite:///{file.as_posix()}")
    migrate(database)
    large(database)
    yield database
    database.close()


def test_a_hundred_thousand_images_each_once(many: Database) -> None:
    with many.read() as session:
        for order in SORT_ORDERS[:-1]:
            found = all_pages(session, order, Filter(), 8_192)
            assert len(found) == len(set(found)) == 100_000
        for asked, order in (({"state": "unlabelled"}, "next"), ({"class": "3"}, "doubtful")):
            found = all_pages(session, order, parse_filter(asked), 8_192)
            assert sorted(found) == all_pages(session, "oldest", parse_filter(asked), 8_192)


WHOLE = re.compile(r"SCAN (?!anon_|\(subquery|SUBQUERY|CONSTANT)")


def test_nothing_reads_whole_tables_or_sorts_them(many: Database) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: Any, *_more: object) -> None:
        asked.append((statement, parameters))

    event.listen(many.engine, "before_cursor_execute", note)
    with many.read() as session:
        for filter_ in map(parse_filter, FILTERS):
            for order in SORT_ORDERS[:-1]:
                for after in (None, "0:0.5:900", "0:900", "1:900"):
                    with suppress(InvalidRequest):  # not each is a place of each walk
                        next_page(session, 1, order, filter_, after=after, limit=50)
        grid_items(session, 1, range(1, 60))
        grid_items(session, 1, range(1, 501))
        for number in (0, 9, 10):
            history.changes_since(session, 1, number)
        history.history_entries(session, 1)
        history.history_entries(session, 1, 7)
        project_counts(session, 1)
        count_facets(session, 1)
    event.remove(many.engine, "before_cursor_execute", note)
    plans = {statement: parameters for statement, parameters in asked if statement.startswith("SELECT")}
    assert len(plans) > 100
    with many.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM labels")).scalar() == 100_000
        for statement, parameters in plans.items():
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            plan = "\n".join(row[3] for row in rows)
            assert not WHOLE.search(plan), f"{statement}\n{plan}"
            # A few hundred rows may be sorted that were asked for by their ids, but no window of an index.
            assert "LIMIT" not in statement or "B-TREE FOR ORDER BY" not in plan, f"{statement}\n{plan}"
