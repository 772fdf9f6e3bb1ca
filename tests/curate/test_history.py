"""The history as others follow it, and as people read it."""

import pytest

from db.engine import Database
from studio.curate import classes, history, labels
from studio.curate.history import Changes, Entry
from studio.curate.labels import Group, Operation, SetLabels, TakeBack
from studio.images.near_duplicates import reject_duplicates
from tests.conftest import NOW
from tests.curate.material import small


@pytest.fixture
def project(database: Database) -> int:
    """Ten unlabelled images, 1 to 10, and the classes 장미 (1) and 튤립 (2)."""
    return small(database)


def done(database: Database, project: int, *operations: Operation, author: str = "anna") -> None:
    with database.write() as session:
        labels.apply(session, project, author, operations, NOW)


def since(database: Database, project: int, number: int) -> Changes:
    with database.read() as session:
        return history.changes(session, project, number)


def told(database: Database, project: int, before: int | None = None) -> dict[str, Entry]:
    """Acts by their ids, the newest first."""
    with database.read() as session:
        return {entry.id: entry for entry in history.entries(session, project, before)}


def test_what_has_changed_since(database: Database, project: int) -> None:
    assert since(database, project, 1) == Changes(1, ())
    done(database, project, SetLabels("a", [Group([1, 2, 3], "labelled", 1)]))
    done(database, project, SetLabels("b", [Group([3], "rejected")]))
    assert since(database, project, 2) == Changes(3, ((3, "rejected", None),))
    # As they are now, each once.
    assert since(database, project, 1) == Changes(
        3, ((1, "labelled", 1), (2, "labelled", 1), (3, "rejected", None))
    )
    with database.write() as session:
        classes.rename(session, project, 1, "Rose", operation_id="c", now=NOW)
    assert since(database, project, 3) == Changes(4, ())
    assert since(database, project, 99) == Changes(4, ())


def test_both_sides_hear_of_a_clash(database: Database, project: int) -> None:
    done(database, project, SetLabels("b", [Group([1], "labelled", 2)]), author="boris")
    done(database, project, SetLabels("a", [Group([1], "rejected")], seen=1))
    assert since(database, project, 2) == Changes(3, ((1, "labelled", 2),))


def test_too_many_changes_are_not_listed(database: Database) -> None:
    project = small(database, 2_001)
    done(database, project, SetLabels("a", [Group(range(1, 2_001), "labelled", 1)]))
    images = since(database, project, 1).images
    assert images is not None
    assert len(images) == 2_000
    done(database, project, SetLabels("b", [Group([1], "rejected")]))
    assert since(database, project, 1) == Changes(3, None)


def test_acts_are_told_to_people(database: Database, project: int) -> None:
    other = small(database, 3, "other", first=21)
    done(database, other, SetLabels("theirs", [Group([21], "rejected")]))
    several = [
        Group([1, 2, 3], "labelled", 1),
        Group([4, 5], "labelled", 2),
        Group([6], "rejected"),
        Group([7], "labelled", class_name="<b>데이지</b>"),
        Group([8], "unlabelled"),
    ]
    done(database, project, SetLabels("a", several), SetLabels("b", [Group([4], "labelled", 2)]))
    done(database, project, SetLabels("c", [Group([1, 2], "rejected")], seen=1), author="boris")
    with database.write() as session:
        classes.rename(session, project, 1, "Rose", operation_id="renamed", now=NOW)
        classes.merge(session, project, 2, 1, author="boris", operation_id="merged", now=NOW)
        classes.remove(session, project, 5, author="anna", operation_id="removed", now=NOW)
    done(database, project, TakeBack("u", "undo"), TakeBack("r", "redo"), TakeBack("nothing", "redo"))
    found = told(database, project)
    assert {name: entry.text for name, entry in found.items()} == {
        "r": "done again: class <b>데이지</b> removed",
        "u": "undone: class <b>데이지</b> removed",
        "removed": "class <b>데이지</b> removed",
        "merged": "class 튤립 merged into Rose",
        "c": "2 left as somebody else decided",
        "b": "1 image to 튤립",
        "a": "3 images to Rose, 2 images to 튤립, 1 image to <b>데이지</b>, 2 more",
        "정원 in": "10 images came in",
    }
    assert [entry.number for entry in found.values()] == [9, 8, 7, 6, 4, 3, 2, 1]
    assert [entry.count for entry in found.values()] == [1, 1, 1, 2, 0, 1, 8, 10]
    assert {name for name, entry in found.items() if entry.author == "boris"} == {"merged", "c"}
    assert {name for name, entry in found.items() if not entry.can_undo} == {"u", "c", "정원 in"}
    assert found["a"].at == NOW


def test_what_is_undone(database: Database, project: int) -> None:
    done(database, project, SetLabels("a", [Group([1], "labelled", 1)]), TakeBack("u", "undo"))
    found = told(database, project)
    assert (found["a"].undone, found["a"].can_undo, found["u"].undone) == (True, False, False)
    done(database, project, TakeBack("r", "redo"))
    found = told(database, project)
    assert (found["a"].undone, found["a"].can_undo, found["u"].undone) == (False, True, True)
    assert (found["r"].undone, found["r"].can_undo, found["r"].direction) == (False, True, "redo")


def test_a_name_that_made_way_is_told_as_it_was(database: Database, project: int) -> None:
    with database.write() as session:
        classes.remove(session, project, 2, author="anna", operation_id="removed", now=NOW)
        classes.rename(session, project, 1, "튤립", operation_id="renamed", now=NOW)
    assert told(database, project)["removed"].text == "class 튤립 removed"


def test_copies_set_aside_can_be_taken_back(database: Database, project: int) -> None:
    with database.write() as session:
        reject_duplicates(session, project, operation_id="none", now=NOW)
        labels.reject(session, project, [1, 2], operation_id="aside", now=NOW)
    entry = told(database, project)["aside"]
    assert (entry.author, entry.text, entry.can_undo) == ("", "2 rejected", True)


def test_pages(database: Database, project: int) -> None:
    acts = [SetLabels(f"a{n}", [Group([1 + n % 10], "labelled", 1 + n % 2)]) for n in range(120)]
    done(database, project, *acts)
    numbers: list[int] = []
    before: int | None = None
    while page := told(database, project, before):
        numbers += [entry.number for entry in page.values()]
        before = numbers[-1]
    assert numbers == list(range(121, 0, -1))
