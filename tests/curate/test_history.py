"""The label history: changes for other clients, and entries for people."""

import pytest

from db.engine import Database
from db.labelling import LabelOperation, LabelTarget
from studio.curate import classes, history
from studio.curate.history import HistoryEntry, LabelChanges
from studio.curate.labels import ImageLabel
from studio.images.near_duplicates import reject_duplicates
from tests.conftest import NOW
from tests.curate.material import apply_as, label_operation, redo_operation, small, undo_operation


@pytest.fixture
def project(database: Database) -> int:
    """Ten unlabelled images, 1 to 10, and the classes 장미 (1) and 튤립 (2)."""
    return small(database)


def done(database: Database, project: int, *operations: LabelOperation, author: str = "anna") -> None:
    with database.write() as session:
        apply_as(session, project, author, *operations)


def since(database: Database, project: int, number: int) -> LabelChanges:
    with database.read() as session:
        return history.changes_since(session, project, number)


def entries_by_id(database: Database, project: int, before: int | None = None) -> dict[str, HistoryEntry]:
    """Acts by their ids, the newest first."""
    with database.read() as session:
        return {entry.id: entry for entry in history.history_entries(session, project, before)}


def test_what_has_changed_since(database: Database, project: int) -> None:
    assert since(database, project, 1) == LabelChanges(1, ())
    done(database, project, label_operation("a", ([1, 2, 3], LabelTarget("labelled", 1))))
    done(database, project, label_operation("b", ([3], LabelTarget("rejected"))))
    assert since(database, project, 2) == LabelChanges(3, (ImageLabel(3, "rejected", None),))
    # As they are now, each once.
    assert since(database, project, 1) == LabelChanges(
        3, (ImageLabel(1, "labelled", 1), ImageLabel(2, "labelled", 1), ImageLabel(3, "rejected", None))
    )
    with database.write() as session:
        classes.rename_class(session, project, 1, "Rose", operation_id="c", now=NOW)
    assert since(database, project, 3) == LabelChanges(4, ())
    assert since(database, project, 99) == LabelChanges(4, ())


def test_both_sides_hear_of_a_clash(database: Database, project: int) -> None:
    done(database, project, label_operation("b", ([1], LabelTarget("labelled", 2))), author="boris")
    done(database, project, label_operation("a", ([1], LabelTarget("rejected")), seen=1))
    assert since(database, project, 2) == LabelChanges(3, (ImageLabel(1, "labelled", 2),))


def test_too_many_changes_are_not_listed(database: Database) -> None:
    project = small(database, 2_001)
    done(database, project, label_operation("a", (range(1, 2_001), LabelTarget("labelled", 1))))
    images = since(database, project, 1).images
    assert images is not None
    assert len(images) == 2_000
    done(database, project, label_operation("b", ([1], LabelTarget("rejected"))))
    assert since(database, project, 1) == LabelChanges(3, None)


def test_operations_are_described_for_people(database: Database, project: int) -> None:
    other = small(database, 3, "other", first=21)
    done(database, other, label_operation("theirs", ([21], LabelTarget("rejected"))))
    several = [
        ([1, 2, 3], LabelTarget("labelled", 1)),
        ([4, 5], LabelTarget("labelled", 2)),
        ([6], LabelTarget("rejected")),
        ([7], LabelTarget("labelled", class_name="<b>데이지</b>")),
        ([8], LabelTarget("unlabelled")),
    ]
    done(
        database,
        project,
        label_operation("a", *several),
        label_operation("b", ([4], LabelTarget("labelled", 2))),
    )
    done(database, project, label_operation("c", ([1, 2], LabelTarget("rejected")), seen=1), author="boris")
    with database.write() as session:
        classes.rename_class(session, project, 1, "Rose", operation_id="renamed", now=NOW)
        classes.merge_classes(session, project, 2, 1, author="boris", operation_id="merged", now=NOW)
        classes.remove_class(session, project, 5, author="anna", operation_id="removed", now=NOW)
    done(database, project, undo_operation("u"), redo_operation("r"), redo_operation("nothing"))
    found = entries_by_id(database, project)
    assert {name: entry.text for name, entry in found.items()} == {
        "r": "redone: class <b>데이지</b> removed",
        "u": "undone: class <b>데이지</b> removed",
        "removed": "class <b>데이지</b> removed",
        "merged": "class 튤립 merged into Rose",
        "c": "2 left as somebody else labelled them",
        "b": "1 image to 튤립",
        "a": "3 images to Rose, 2 images to 튤립, 1 image to <b>데이지</b>, 2 more",
        "정원 in": "10 images added",
    }
    assert [entry.number for entry in found.values()] == [9, 8, 7, 6, 4, 3, 2, 1]
    assert [entry.count for entry in found.values()] == [1, 1, 1, 2, 0, 1, 8, 10]
    assert {name for name, entry in found.items() if entry.author == "boris"} == {"merged", "c"}
    assert {name for name, entry in found.items() if not entry.can_undo} == {"u", "c", "정원 in"}
    assert found["a"].at == NOW


def test_what_is_undone(database: Database, project: int) -> None:
    done(database, project, label_operation("a", ([1], LabelTarget("labelled", 1))), undo_operation("u"))
    found = entries_by_id(database, project)
    assert (found["a"].undone, found["a"].can_undo, found["u"].undone) == (True, False, False)
    done(database, project, redo_operation("r"))
    found = entries_by_id(database, project)
    assert (found["a"].undone, found["a"].can_undo, found["u"].undone) == (False, True, True)
    assert (found["r"].undone, found["r"].can_undo, found["r"].direction) == (False, True, "redo")


def test_a_removed_class_keeps_its_name_in_the_history(database: Database, project: int) -> None:
    with database.write() as session:
        classes.remove_class(session, project, 2, author="anna", operation_id="removed", now=NOW)
        classes.rename_class(session, project, 1, "튤립", operation_id="renamed", now=NOW)
    assert entries_by_id(database, project)["removed"].text == "class 튤립 removed"


def test_rejected_duplicates_can_be_undone(database: Database, project: int) -> None:
    with database.write() as session:
        reject_duplicates(session, project, operation_id="none", now=NOW)
        apply_as(session, project, "", label_operation("aside", ([1, 2], LabelTarget("rejected"))))
    entry = entries_by_id(database, project)["aside"]
    assert (entry.author, entry.text, entry.can_undo) == ("", "2 rejected", True)


def test_pages(database: Database, project: int) -> None:
    acts = [label_operation(f"a{n}", ([1 + n % 10], LabelTarget("labelled", 1 + n % 2))) for n in range(120)]
    done(database, project, *acts)
    numbers: list[int] = []
    before: int | None = None
    while page := entries_by_id(database, project, before):
        numbers += [entry.number for entry in page.values()]
        before = numbers[-1]
    assert numbers == list(range(121, 0, -1))
