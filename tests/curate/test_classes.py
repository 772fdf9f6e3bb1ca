"""Classes: named, ordered, given colours and keys, merged and removed, and what comes back by undo."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from db.engine import Database
from db.labelling import LabelTarget
from db.models import ImageClassRow, LabelOperationRow
from studio.curate import classes
from studio.curate.classes import ClassCount, project_counts
from studio.curate.labels import OperationResult
from studio.errors import ProjectError
from tests.conftest import NOW
from tests.curate.material import apply_as, label_operation, revert_operation, small

ROSE, TULIP = 1, 2


@pytest.fixture
def project(database: Database) -> int:
    """Ten images: 1 to 4 are 장미 (1), 5 and 6 튤립 (2)."""
    made = small(database)
    label(database, made, "roses", [1, 2, 3, 4], ROSE)
    label(database, made, "tulips", [5, 6], TULIP)
    return made


def label(database: Database, project: int, name: str, images: list[int], class_id: int) -> OperationResult:
    act = label_operation(name, (images, LabelTarget("labelled", class_id)))
    with database.write() as session:
        return apply_as(session, project, "anna", act)[0]


def revert(
    database: Database, project: int, name: str, kind: str, operation: str | None = None
) -> OperationResult:
    act = revert_operation(name, "undo" if kind == "undo" else "redo", operation)
    with database.write() as session:
        return apply_as(session, project, "anna", act)[0]


def act(database: Database, project: int, what: Callable[..., None], *arguments: object, **more: str) -> None:
    with database.write() as session:
        more.setdefault("operation_id", f"{what.__name__} {arguments}"[:64])
        what(session, project, *arguments, now=NOW, **more)


def shown(database: Database, project: int) -> dict[str, int]:
    """The classes in their order, with their counts."""
    return {each.name: each.count for each in listed(database, project)}


def listed(database: Database, project: int) -> tuple[ClassCount, ...]:
    with database.read() as session:
        return project_counts(session, project).classes


def by_id(database: Database, project: int) -> dict[int, ClassCount]:
    return {each.id: each for each in listed(database, project)}


def test_names(database: Database, project: int) -> None:
    act(database, project, classes.add_class, "  데이지\n daisy ")
    act(database, project, classes.rename_class, ROSE, "Rose\N{COMBINING ACUTE ACCENT}")  # as macOS writes it
    assert list(shown(database, project)) == ["Rosé", "튤립", "데이지 daisy"]
    for wrong in ("", " \t", "x" * 81):
        with pytest.raises(ProjectError, match="1 to 80"):
            act(database, project, classes.rename_class, ROSE, wrong)
    with pytest.raises(ProjectError, match="already a class named 튤립"):
        act(database, project, classes.add_class, "튤립")
    with pytest.raises(ProjectError, match="already a class named 튤립"):
        act(database, project, classes.rename_class, ROSE, "튤립")
    act(database, project, classes.rename_class, TULIP, "x" * 80)
    assert list(shown(database, project)) == ["Rosé", "x" * 80, "데이지 daisy"]


def test_an_operation_is_recorded_once_and_in_the_history(database: Database, project: int) -> None:
    for _time in range(2):
        act(database, project, classes.add_class, "데이지", operation_id="same")
    assert shown(database, project) == {"장미": 4, "튤립": 2, "데이지": 0}
    with database.read() as session:
        operation = session.get_one(LabelOperationRow, "same")
    # Without an author, so that nobody's U takes it back.
    assert (operation.number, operation.author, operation.direction) == (4, "", "do")
    assert revert(database, project, "u", "undo").original_id == "tulips"


def test_colours(database: Database, project: int) -> None:
    act(database, project, classes.set_class_colour, ROSE, "#E0457B")
    assert by_id(database, project)[ROSE].colour == "#e0457b"
    with pytest.raises(ProjectError, match="expected a colour such as"):
        act(database, project, classes.set_class_colour, ROSE, "red;background:url(x)")
    act(database, project, classes.set_class_colour, ROSE, "")
    assert by_id(database, project)[ROSE].colour == ""


def test_a_key_belongs_to_one_class(database: Database, project: int) -> None:
    act(database, project, classes.set_class_hotkey, ROSE, "R")
    act(database, project, classes.set_class_hotkey, ROSE, "r", operation_id="again")
    assert by_id(database, project)[ROSE].hotkey == "r"
    act(database, project, classes.set_class_hotkey, TULIP, "r")
    assert {each.id: each.hotkey for each in listed(database, project)} == {ROSE: "", TULIP: "r"}
    for wrong in ("rr", "²", "-", " "):
        with pytest.raises(ProjectError, match="one digit or one letter"):
            act(database, project, classes.set_class_hotkey, ROSE, wrong)
    act(database, project, classes.set_class_hotkey, ROSE, "ㄱ")
    # A class that comes back has no key that another has got since.
    act(database, project, classes.remove_class, ROSE, author="anna")
    act(database, project, classes.set_class_hotkey, TULIP, "ㄱ")
    revert(database, project, "u", "undo")
    assert {each.id: each.hotkey for each in listed(database, project)} == {ROSE: "", TULIP: "ㄱ"}


def test_order(database: Database, project: int) -> None:
    act(database, project, classes.add_class, "c")
    act(database, project, classes.add_class, "d")
    act(database, project, classes.reorder_classes, [4, 99, TULIP, 4])
    assert [(s.name, s.position) for s in listed(database, project)] == [
        ("d", 0), ("튤립", 1), ("장미", 2), ("c", 3)
    ]  # fmt: skip


def test_merging_and_its_undoing(database: Database, project: int) -> None:
    act(database, project, classes.merge_classes, TULIP, ROSE, author="anna", operation_id="m")
    assert shown(database, project) == {"장미": 6}
    label(database, project, "since", [7], ROSE)
    revert(database, project, "u1", "undo", "m")
    assert shown(database, project) == {"장미": 5, "튤립": 2}
    revert(database, project, "r1", "redo", "m")
    assert shown(database, project) == {"장미": 7}
    for into in (TULIP, ROSE):
        with pytest.raises(ProjectError):
            act(database, project, classes.merge_classes, ROSE, into, author="anna", operation_id="x")
    assert shown(database, project) == {"장미": 7}


def test_removing_and_its_undoing(database: Database, project: int) -> None:
    act(database, project, classes.remove_class, TULIP, author="anna", operation_id="r")
    assert shown(database, project) == {"장미": 4}
    assert "removed in the meantime" in (label(database, project, "x", [7], TULIP).error or "")
    revert(database, project, "u", "undo")
    assert shown(database, project) == {"장미": 4, "튤립": 2}
    revert(database, project, "again", "redo")
    assert shown(database, project) == {"장미": 4}


def test_an_empty_class_too(database: Database, project: int) -> None:
    act(database, project, classes.add_class, "데이지")
    act(database, project, classes.remove_class, 3, author="anna")
    assert shown(database, project) == {"장미": 4, "튤립": 2}
    assert revert(database, project, "u", "undo").changes == ()
    assert shown(database, project) == {"장미": 4, "튤립": 2, "데이지": 0}
    revert(database, project, "r", "redo")
    assert shown(database, project) == {"장미": 4, "튤립": 2}


def test_redoing_a_removal_takes_no_class_from_images_labelled_since(
    database: Database, project: int
) -> None:
    act(database, project, classes.remove_class, TULIP, author="anna", operation_id="r")
    revert(database, project, "u", "undo", "r")
    label(database, project, "since", [9], TULIP)
    revert(database, project, "again", "redo", "r")
    assert shown(database, project) == {"장미": 4, "튤립": 1}


def test_undo_that_gives_images_back_to_a_removed_class_revives_it(database: Database, project: int) -> None:
    label(database, project, "moved", [5, 6], ROSE)
    act(database, project, classes.remove_class, TULIP, author="anna")
    revert(database, project, "u", "undo", "moved")
    assert shown(database, project) == {"장미": 4, "튤립": 2}


def test_a_removed_name_can_be_taken_and_comes_back_with_a_number(database: Database, project: int) -> None:
    act(database, project, classes.remove_class, TULIP, author="anna", operation_id="r")
    act(database, project, classes.rename_class, ROSE, "튤립")
    act(database, project, classes.add_class, "튤립 2")
    assert shown(database, project) == {"튤립": 4, "튤립 2": 0}
    revert(database, project, "u", "undo", "r")
    assert by_id(database, project)[TULIP].name == "튤립 3"
    assert shown(database, project) == {"튤립": 4, "튤립 3": 2, "튤립 2": 0}


def test_adding_a_removed_class_makes_it_a_class_again(database: Database, project: int) -> None:
    act(database, project, classes.remove_class, TULIP, author="anna")
    act(database, project, classes.add_class, "튤립")
    assert by_id(database, project)[TULIP].name == "튤립"
    act(database, project, classes.remove_class, TULIP, author="anna", operation_id="once more")
    with database.write() as session:
        new = label_operation("by name", ([8], LabelTarget("labelled", class_name="튤립")))
        apply_as(session, project, "anna", new)
    assert by_id(database, project)[TULIP].count == 1


def test_classes_of_other_projects_are_not_touched(database: Database, project: int) -> None:
    other = small(database, 2, "other", first=21)
    acts: list[tuple[Callable[..., None], tuple[object, ...], dict[str, str]]] = [
        (classes.rename_class, (ROSE, "x"), {}),
        (classes.set_class_colour, (ROSE, "#000000"), {}),
        (classes.set_class_hotkey, (ROSE, "x"), {}),
        (classes.merge_classes, (ROSE, 3), {"author": "anna"}),
        (classes.merge_classes, (3, ROSE), {"author": "anna"}),
        (classes.remove_class, (99,), {"author": "anna"}),
    ]
    for what, arguments, more in acts:
        with pytest.raises(ProjectError, match="no such class in this project"):
            act(database, other, what, *arguments, **more)
    with pytest.raises(ProjectError, match="no such project"):
        act(database, 99, classes.add_class, "x")
    act(database, other, classes.reorder_classes, [TULIP, ROSE])
    with database.read() as session:
        rows = session.scalars(select(ImageClassRow).where(ImageClassRow.project_id == project)).all()
    assert [(r.name, r.position, r.colour, r.hotkey) for r in rows] == [
        ("장미", 0, "", ""),
        ("튤립", 1, "", ""),
    ]
