"""The overview of a project: every image counted where it belongs, and nowhere twice that it should not."""

from dataclasses import dataclass, field
from typing import cast

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

from db.engine import Database
from db.labelling import LabelOperation, LabelTarget, record_operation
from db.models import (
    AnalysisRow,
    DuplicateGroupRow,
    FindingRow,
    ImageClassRow,
    ImageRow,
    LabelRow,
    ProjectRow,
    ProvenanceRow,
)
from studio.curate.overview import Overview, OverviewVersion, overview, overview_version
from studio.datasets.splits import SPLITS, Split, split_of
from tests.conftest import NOW


@dataclass(frozen=True)
class Made:
    """An image to be made: its label (a class's name, "" for rejected, None for none) and its places."""

    label: str | None
    places: list[tuple[str, str]] = field(default_factory=list)
    """Kind and licence of each place where it was found."""
    split: str | None = None


IMAGES = {
    1: Made("장미", [("crawl", ""), ("openverse", "CC BY 2.0"), ("commons", "CC0 1.0")]),
    2: Made("장미", [("camera", "")]),
    3: Made("장미", [("crawl", ""), ("crawl", "")]),
    4: Made("튤립", [("commons", "CC BY 2.0"), ("camera", "")]),
    5: Made(None, [("folder", ""), ("drawing", "")]),
    6: Made("", [("crawl", "CC BY 2.0")]),  # rejected: its source and its licence do not count
    7: Made("튤립"),
    8: Made("튤립", [("folder", "")], split="testing"),
    9: Made("튤립", [("folder", "")]),
    10: Made("장미", [("folder", "")], split="validation"),
}


def sha256(number: int) -> str:
    return f"{number * 7919:064x}"


@pytest.fixture
def project(database: Database) -> int:
    with database.write() as session:
        made = ProjectRow(name="정원", created_at=NOW)
        session.add(made)
        session.flush()
        names = ("장미", "튤립", "백합")
        classes = [ImageClassRow(project_id=made.id, name=name, position=at) for at, name in enumerate(names)]
        classes.append(ImageClassRow(project_id=made.id, name="gone", position=9, removed_at=NOW))
        session.add_all(classes)
        session.add_all(
            ImageRow(
                id=number,
                sha256=sha256(number),
                format="PNG",
                width_px=4,
                height_px=3,
                size_bytes=1,
                perceptual_hash="0" * 16,
                created_at=NOW,
            )
            for number in IMAGES
        )
        session.flush()
        add_places(session, made.id)
        ids = {each.name: each.id for each in classes}
        targets: dict[int, LabelTarget] = {
            number: LabelTarget("unlabelled")
            if image.label is None
            else LabelTarget("labelled", ids[image.label])
            if image.label
            else LabelTarget("rejected")
            for number, image in IMAGES.items()
        }
        record_operation(session, LabelOperation("in", made.id, NOW, targets))
        for number, image in IMAGES.items():
            session.get_one(LabelRow, (made.id, number)).split = image.split
        # The group's first image, 2, is named by its own id.
        session.add_all(
            DuplicateGroupRow(project_id=made.id, image_id=number, group_id=2, found_by="hash")
            for number in (2, 9, 10)
        )
        return made.id


def add_places(session: Session, project_id: int) -> None:
    session.execute(
        insert(ProvenanceRow),
        [
            {
                "project_id": project_id,
                "image_id": number,
                "kind": kind,
                "address": f"{at}/{number}.png",
                "licence": licence,
                "found_at": NOW,
            }
            for number, image in IMAGES.items()
            for at, (kind, licence) in enumerate(image.places)
        ],
    )


def overview_of(database: Database, project_id: int) -> Overview:
    with database.read() as session:
        return overview(session, project_id)


def test_classes_and_states(database: Database, project: int) -> None:
    counts = overview_of(database, project).counts
    assert dict(counts.by_class) == {"장미": 4, "튤립": 4, "백합": 0}
    assert (counts.labelled, counts.unlabelled, counts.rejected, counts.total) == (8, 1, 1, 10)


def test_a_image_counts_under_each_source_once(database: Database, project: int) -> None:
    by_source = overview_of(database, project).by_source
    assert by_source == {"folder": 4, "camera": 2, "commons": 2, "crawl": 2, "drawing": 1, "openverse": 1}
    assert next(iter(by_source)) == "folder"
    assert list(by_source.values()) == sorted(by_source.values(), reverse=True)


def test_the_licence_is_the_first_that_is_stated_else_own_work_else_unknown(
    database: Database, project: int
) -> None:
    found = overview_of(database, project)
    assert found.by_licence == {"CC BY 2.0": 2}  # 1 and 4; what 1 says elsewhere comes second
    assert found.own_work == 2  # 2 and 5
    assert found.licence_unknown == 5  # 3, 7, 8, 9, 10
    assert 2 + found.own_work + found.licence_unknown == found.counts.total - found.counts.rejected


def test_splits_are_those_given_to_a_group_else_the_hash_of_its_first(
    database: Database, project: int
) -> None:
    group = {2, 9, 10}
    wanted = dict.fromkeys(SPLITS, 0)
    for number, image in IMAGES.items():
        if image.label:
            of_group = (IMAGES[each].split for each in sorted(group)) if number in group else ()
            given = next(filter(None, of_group), image.split)
            key = sha256(2 if number in group else number)
            wanted[cast(Split, given) if given else split_of(key, 10, 10, 0)] += 1
    assert overview_of(database, project).by_split == wanted
    assert wanted["testing"] >= 1
    assert wanted["validation"] >= 1


def test_findings_are_those_that_nobody_has_answered(database: Database, project: int) -> None:
    assert overview_of(database, project).findings == {}
    found = {
        # (kind, image): (score, after which operation)
        ("doubtful", 1): (0.9, 1),
        ("doubtful", 2): (0.5, 1),
        ("doubtful", 3): (0.49, 1),  # too sure
        ("doubtful", 4): (0.9, 0),  # decided since
        ("suggestion", 5): (0.7, 1),
        ("suggestion", 7): (0.7, 1),  # has a label by now
        ("blurred", 1): (0.2, 1),
        ("blurred", 6): (0.9, 1),  # rejected
        ("far", 1): (0.2, 1),
        ("spread", 1): (0.2, 1),
    }
    with database.write() as session:
        session.add_all(
            FindingRow(project_id=project, kind=kind, image_id=image, score=score, operation_number=number)
            for (kind, image), (score, number) in found.items()
        )
    assert overview_of(database, project).findings == {"doubtful": 2, "suggestion": 1, "blurred": 1, "far": 1}


def test_duplicates(database: Database, project: int) -> None:
    copies = overview_of(database, project).copies
    assert (copies.groups, copies.images_beyond_keepers) == (1, 2)


def test_other_projects_do_not_matter_and_an_empty_one_is_empty(database: Database, project: int) -> None:
    before = overview_of(database, project)
    with database.write() as session:
        other = ProjectRow(name="other", created_at=NOW)
        session.add(other)
        session.flush()
        empty = overview(session, other.id)
        session.add(
            ProvenanceRow(project_id=other.id, image_id=3, kind="x", licence="CC0", address="a", found_at=NOW)
        )
        session.add(
            LabelRow(project_id=other.id, image_id=3, state="unlabelled", split="testing", updated_at=NOW)
        )
        session.add(DuplicateGroupRow(project_id=other.id, image_id=3, group_id=1, found_by="hash"))
    assert overview_of(database, project) == before
    assert empty.counts.total == 0
    assert (empty.by_source, empty.by_licence, empty.own_work, empty.licence_unknown) == ({}, {}, 0, 0)
    assert empty.by_split == {"training": 0, "validation": 0, "testing": 0}


def test_the_version_changes_with_labels_provenance_and_analyses(database: Database, project: int) -> None:
    def now() -> OverviewVersion:
        with database.read() as session:
            return overview_version(session, project)

    versions = [now(), now()]
    assert len(set(versions)) == 1
    with database.write() as session:
        targets: dict[int, LabelTarget] = {5: LabelTarget("rejected")}
        record_operation(session, LabelOperation("out", project, NOW, targets))
    versions.append(now())
    with database.write() as session:
        session.add(ProvenanceRow(project_id=project, image_id=7, kind="crawl", address="x", found_at=NOW))
    versions.append(now())
    with database.write() as session:
        session.add(AnalysisRow(project_id=project, kind="review", operation_number=2, facts={}, at=NOW))
    versions.append(now())
    assert len(set(versions)) == 4
