"""Contents of tiles: name, open results, duplicates, split, clashes; and the facets of the filters."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from db.engine import Database
from db.labelling import LabelTarget
from db.models import AnalysisRow, DuplicateGroupRow, FindingRow, ImageRow, LabelRow, ProvenanceRow
from studio.curate import classes
from studio.curate.classes import ClassCount, project_counts
from studio.curate.filters import FacetCache
from studio.curate.items import ClassScore, GridItem, grid_items
from studio.datasets.splits import split_of
from tests.conftest import NOW
from tests.curate.material import apply_as, label_operation, large, small, undo_operation

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


def label(
    database: Database,
    project: int,
    name: str,
    *groups: tuple[Sequence[int], LabelTarget],
    author: str = "anna",
) -> None:
    with database.write() as session:
        apply_as(session, project, author, label_operation(name, *groups, seen=1))


def shown(database: Database, project: int, *image_ids: int) -> dict[int, GridItem]:
    with database.read() as session:
        return {item.id: item for item in grid_items(session, project, image_ids)}


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
    assert found[2] == GridItem(
        id=2,
        sha256=f"{2:064x}",
        name="2.png",
        state="unlabelled",
        class_id=None,
        width_px=6,
        height_px=3,
        suggestion=None,
        label_issue=None,
        image_issues=(),
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
    label(database, project, "a", ([2, 4, 5, 6], LabelTarget("labelled", ROSE)))
    with database.write() as session:
        session.execute(
            insert(FindingRow),
            [
                {"project_id": project, "kind": "doubtful", "image_id": image, "score": score}
                | {"class_id": TULIP, "operation_number": 2}
                for image, score in ((4, 0.5), (5, 0.49), (6, 0.9))
            ],
        )
    label(database, project, "b", ([6], LabelTarget("labelled", ROSE)))  # it was looked at: rose it is
    found = shown(database, project, *range(1, 8))
    assert {i: item.suggestion for i, item in found.items() if item.suggestion} == {
        1: ClassScore(ROSE, 0.9),
        3: ClassScore(ROSE, 0.7),
    }
    assert {i: item.label_issue for i, item in found.items() if item.label_issue} == {
        4: ClassScore(TULIP, 0.5)
    }
    assert {i: item.image_issues for i, item in found.items() if item.image_issues} == {1: ("dark", "far")}
    with database.write() as session:
        apply_as(session, project, "", undo_operation("u", "a"))
        classes.remove_class(session, project, ROSE, author="anna", operation_id="r", now=NOW)
    found = shown(database, project, *range(1, 8))
    # The undone one shows its suggestion again; a class that is gone is suggested no more.
    assert {i: item.suggestion for i, item in found.items() if item.suggestion} == {2: ClassScore(TULIP, 0.8)}
    assert not any(item.label_issue for item in found.values())


def test_duplicates(database: Database, project: int) -> None:
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
    label(database, project, "a", ([3, 5], LabelTarget("rejected")))
    found = shown(database, project, *range(1, 8))
    assert {i: (item.group, item.keeper) for i, item in found.items() if item.group} == {
        1: (1, False), 2: (1, True), 3: (1, False), 5: (4, False)
    }  # fmt: skip


def test_a_clash_until_somebody_decides(database: Database, project: int) -> None:
    label(database, project, "b", ([1, 2], LabelTarget("labelled", TULIP)), author="boris")
    label(database, project, "a", ([1, 2], LabelTarget("labelled", ROSE)))
    label(database, project, "c", ([1], LabelTarget("rejected")), author="carla")
    found = shown(database, project, 1, 2)
    assert (found[1].state, found[1].class_id, found[1].clash) == ("labelled", TULIP, ("rejected", None))
    assert found[2].clash == ("labelled", ROSE)
    label(database, project, "d", ([1], LabelTarget("labelled", TULIP)))
    assert shown(database, project, 1)[1].clash is None


def test_class_counts(database: Database, project: int) -> None:
    label(database, project, "a", ([1, 2, 3], LabelTarget("labelled", ROSE)), ([4], LabelTarget("rejected")))
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
    label(database, project, "a", ([2], LabelTarget("rejected")))
    with database.read() as session:
        found = FacetCache().get(session, project)
    assert (found.sources, found.licences) == (("crawl", "folder"), ("CC0",))
    assert found.result_counts == {"suggestion": 1, "next": 1, "doubtful": 1, "spread": 1, "dark": 1}
    assert found.analyses == {"review": {"wrong": 3, "number": 1, "at": NOW.isoformat()}}
    assert found.clashes == 0


def test_a_long_count_is_given_out_a_little_longer(database: Database) -> None:
    large(database, 300)
    time = {"now": 0.0, "step": 0.0}

    def clock() -> float:
        time["now"] += time["step"]
        return time["now"]

    cache = FacetCache(clock)

    def suggestions() -> int:
        with database.read() as session:
            return cache.get(session, 1).result_counts["suggestion"]

    first = suggestions()
    with database.write() as session:
        apply_as(session, 1, "", label_operation("all", (range(1, 301), LabelTarget("unlabelled"))))
    every = suggestions()  # the count was quick, so it is made anew at once
    with database.write() as session:
        apply_as(session, 1, "", label_operation("out", (range(1, 301), LabelTarget("rejected"))))
        apply_as(session, 1, "", label_operation("back", (range(1, 201), LabelTarget("unlabelled"))))
    time["step"] = 0.5
    slow = suggestions()
    assert first >= slow > 0
    assert every == first  # findings are there for those alone that waited
    with database.write() as session:
        apply_as(session, 1, "", label_operation("more", (range(1, 101), LabelTarget("rejected"))))
    assert suggestions() == slow
    time["now"] += 20
    assert suggestions() < slow
