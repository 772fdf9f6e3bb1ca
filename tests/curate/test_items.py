"""What a tile shows: name, guesses that still hold, copies, split, clashes; and what the filters count."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from db.engine import Database
from db.models import AnalysisRow, DuplicateGroupRow, FindingRow, ImageRow, LabelRow, ProvenanceRow
from studio.curate import classes, labels
from studio.curate.classes import ClassCount, project_counts
from studio.curate.filters import KeptChoices
from studio.curate.items import Guess, Item, items
from studio.curate.labels import Group, SetLabels
from studio.datasets.splits import split_of
from tests.conftest import NOW
from tests.curate.material import large, small

ROSE, TULIP = 1, 2


@pytest.fixture
def project(database: Database) -> int:
    """Ten unlabelled images, 1 to 10, and the classes 장미 (1) and 튤립 (2)."""
    return small(database)


def find(database: Database, project: int, *found: tuple[str, int, float, int | None]) -> None:
    """Write findings made when the history had one act."""
    with database.write() as session:
        session.execute(
            insert(FindingRow),
            [
                {"project_id": project, "kind": kind, "image_id": image, "score": score, "class_id": class_id}
                | {"operation_number": 1}
                for kind, image, score, class_id in found
            ],
        )


def label(database: Database, project: int, name: str, *groups: Group, author: str = "anna") -> None:
    with database.write() as session:
        labels.apply(session, project, author, [SetLabels(name, groups, seen=1)], NOW)


def shown(database: Database, project: int, *image_ids: int) -> dict[int, Item]:
    with database.read() as session:
        return {item.id: item for item in items(session, project, image_ids)}


def test_a_image_as_it_came(database: Database, project: int) -> None:
    with database.write() as session:
        session.execute(
            insert(ProvenanceRow),
            [{"project_id": project, "image_id": 2, "kind": "crawl", "address": "https://a/later.jpg"}
             | {"found_at": NOW + timedelta(days=1)}],
        )  # fmt: skip
    small(database, 2, "other", first=21)
    found = shown(database, project, 2, 21, 99, 1, 2)
    assert list(found) == [2, 1]
    assert found[2] == Item(
        id=2,
        sha256=f"{2:064x}",
        name="2.png",
        state="unlabelled",
        class_id=None,
        width_px=6,
        height_px=3,
        suggestion=None,
        doubt=None,
        odd=(),
        group=None,
        keeper=False,
        split=split_of(f"{2:064x}", 10, 10, 0),
        clash=None,
    )


def test_guesses_that_still_hold(database: Database, project: int) -> None:
    find(
        database, project,
        ("suggestion", 1, 0.9, ROSE), ("suggestion", 2, 0.8, TULIP), ("suggestion", 3, 0.7, ROSE),
        ("far", 1, 0.3, None), ("dark", 1, 0.4, None), ("spread", 1, 0.5, None),
    )  # fmt: skip
    label(database, project, "a", Group([2, 4, 5, 6], "labelled", ROSE))
    with database.write() as session:
        session.execute(
            insert(FindingRow),
            [
                {"project_id": project, "kind": "doubtful", "image_id": image, "score": score}
                | {"class_id": TULIP, "operation_number": 2}
                for image, score in ((4, 0.5), (5, 0.49), (6, 0.9))
            ],
        )
    label(database, project, "b", Group([6], "labelled", ROSE))  # it was looked at: rose it is
    found = shown(database, project, *range(1, 8))
    assert {i: item.suggestion for i, item in found.items() if item.suggestion} == {
        1: Guess(ROSE, 0.9),
        3: Guess(ROSE, 0.7),
    }
    assert {i: item.doubt for i, item in found.items() if item.doubt} == {4: Guess(TULIP, 0.5)}
    assert {i: item.odd for i, item in found.items() if item.odd} == {1: ("dark", "far")}
    with database.write() as session:
        labels.undo(session, project, "a", new_operation_id="u", now=NOW)
        classes.remove(session, project, ROSE, author="anna", operation_id="r", now=NOW)
    found = shown(database, project, *range(1, 8))
    # The undone one shows its suggestion again; a class that is gone is suggested no more.
    assert {i: item.suggestion for i, item in found.items() if item.suggestion} == {2: Guess(TULIP, 0.8)}
    assert not any(item.doubt for item in found.values())


def test_copies(database: Database, project: int) -> None:
    with database.write() as session:
        groups = {1: 1, 2: 1, 3: 1, 4: 4, 5: 4}
        session.execute(
            insert(DuplicateGroupRow),
            [
                {"project_id": project, "image_id": image, "group_id": group, "found_by": "hash"}
                for image, group in groups.items()
            ],
        )
        session.execute(update(ImageRow).where(ImageRow.id == 3).values(width_px=100))
        session.execute(update(LabelRow).where(LabelRow.image_id == 7).values(split="validation"))
    found = shown(database, project, *range(1, 8))
    assert {i: (item.group, item.keeper) for i, item in found.items() if item.group} == {
        1: (1, False), 2: (1, False), 3: (1, True), 4: (4, False), 5: (4, True)
    }  # fmt: skip
    # Copies stand on one side; what came with its side keeps it.
    first = split_of(f"{1:064x}", 10, 10, 0)
    assert {found[image].split for image in (1, 2, 3)} == {first}
    assert found[7].split == "validation"
    # What came with one of them holds for all, where it trains or tests.
    with database.write() as session:
        session.execute(update(LabelRow).where(LabelRow.image_id == 4).values(split="testing"))
        session.execute(update(LabelRow).where(LabelRow.image_id == 5).values(split="validation"))
    assert [shown(database, project, 4, 5)[image].split for image in (4, 5)] == ["testing", "validation"]
    with database.write() as session:
        session.execute(
            update(LabelRow).where(LabelRow.image_id.in_([4, 5])).values(state="labelled", class_id=ROSE)
        )
    assert [shown(database, project, 4, 5)[image].split for image in (4, 5)] == ["testing", "testing"]
    label(database, project, "a", Group([3, 5], "rejected"))
    found = shown(database, project, *range(1, 8))
    assert {i: (item.group, item.keeper) for i, item in found.items() if item.group} == {
        1: (1, False), 2: (1, True), 3: (1, False), 5: (4, False)
    }  # fmt: skip


def test_a_clash_until_somebody_decides(database: Database, project: int) -> None:
    label(database, project, "b", Group([1, 2], "labelled", TULIP), author="boris")
    label(database, project, "a", Group([1, 2], "labelled", ROSE))
    label(database, project, "c", Group([1], "rejected"), author="carla")
    found = shown(database, project, 1, 2)
    assert (found[1].state, found[1].class_id, found[1].clash) == ("labelled", TULIP, ("rejected", None))
    assert found[2].clash == ("labelled", ROSE)
    label(database, project, "d", Group([1], "labelled", TULIP))
    assert shown(database, project, 1)[1].clash is None


def test_shelves(database: Database, project: int) -> None:
    label(database, project, "a", Group([1, 2, 3], "labelled", ROSE), Group([4], "rejected"))
    with database.read() as session:
        found = project_counts(session, project)
    assert found.classes == (ClassCount(1, "장미", "", "", 0, 3), ClassCount(2, "튤립", "", "", 1, 0))
    assert (found.labelled, found.unlabelled, found.rejected) == (3, 6, 1)


def test_what_can_be_chosen_by(database: Database, project: int) -> None:
    find(
        database, project,
        ("suggestion", 1, 0.9, ROSE), ("suggestion", 2, 0.8, ROSE), ("next", 1, 0.8, None),
        ("dark", 1, 0.3, None), ("dark", 2, 0.3, None), ("spread", 1, 0.5, None),
        ("doubtful", 3, 0.4, ROSE), ("doubtful", 4, 0.6, ROSE), ("doubtful", 5, 0.6, ROSE),
    )  # fmt: skip
    with database.write() as session:
        session.execute(update(LabelRow).where(LabelRow.image_id.in_([3, 4, 5])).values(state="labelled"))
        session.execute(update(LabelRow).where(LabelRow.image_id == 5).values(operation_number=2))
        session.execute(
            update(ProvenanceRow).where(ProvenanceRow.image_id == 1).values(kind="crawl", licence="CC0")
        )
        session.add(
            AnalysisRow(project_id=project, kind="review", operation_number=1, facts={"wrong": 3}, at=NOW)
        )
    label(database, project, "a", Group([2], "rejected"))
    with database.read() as session:
        found = KeptChoices().of(session, project)
    assert (found.sources, found.licences) == (("crawl", "folder"), ("CC0",))
    assert found.findings == {"suggestion": 1, "next": 1, "doubtful": 1, "spread": 1, "dark": 1}
    assert found.studies == {"review": {"wrong": 3, "number": 1, "at": NOW.isoformat()}}
    assert found.clashes == 0


def test_a_long_count_is_given_out_a_little_longer(database: Database) -> None:
    large(database, 300)
    time = {"now": 0.0, "step": 0.0}

    def clock() -> float:
        time["now"] += time["step"]
        return time["now"]

    kept = KeptChoices(clock)

    def suggestions() -> int:
        with database.read() as session:
            return kept.of(session, 1).findings["suggestion"]

    first = suggestions()
    with database.write() as session:
        labels.unlabel(session, 1, range(1, 301), operation_id="all", now=NOW)
    every = suggestions()  # the count was quick, so it is made anew at once
    with database.write() as session:
        labels.reject(session, 1, range(1, 301), operation_id="out", now=NOW)
        labels.unlabel(session, 1, range(1, 201), operation_id="back", now=NOW)
    time["step"] = 0.5
    slow = suggestions()
    assert first >= slow > 0
    assert every == first  # findings are there for those alone that waited
    with database.write() as session:
        labels.reject(session, 1, range(1, 101), operation_id="more", now=NOW)
    assert suggestions() == slow
    time["now"] += 20
    assert suggestions() < slow
