"""Classes: named, ordered, given colours and keys, merged and removed, and what comes back by undo."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from db.engine import Database
from db.models import ImageClassRow, LabelOperationRow
from studio.curate import classes, labels
from studio.curate.classes import ClassCount, project_counts
from studio.curate.labels import Group, Result, SetLabels, TakeBack
from studio.errors import ProjectError
from tests.conftest import NOW
from tests.curate.material import small

ROSE, TULIP = 1, 2


@pytest.fixture
def project(database: Database) -> int:
    """Ten images: 1 to 4 are 장미 (1), 5 and 6 튤립 (2)."""
    made = small(database)
    label(database, made, "roses", [1, 2, 3, 4], ROSE)
    label(database, made, "tulips", [5, 6], TULIP)
    return made


def label(database: Database, project: int, name: str, images: list[int], class_id: int) -> Result:
    act = SetLabels(name, [Group(images, "labelled", class_id)])
    with database.write() as session:
        return labels.apply(session, project, "anna", [act], NOW)[0]


def turn(database: Database, project: int, name: str, kind: str, operation: str | None = None) -> Result:
    act = TakeBack(name, "undo" if kind == "undo" else "redo", operation)
    with database.write() as session:
        return labels.apply(session, project, "anna", [act], NOW)[0]


def act(database: Database, project: int, what: Callable[..., None], *arguments: object, **more: str) -> None:
    with database.write() as session:
        more.setdefault("operation_id", f"{what.__name__} {arguments}"[:64])
        what(session, project, *arguments, now=NOW, **more)


def shown(database: Database, project: int) -> dict[str, int]:
    """The classes in their order, with their counts."""
    return {shelf.name: shelf.count for shelf in listed(database, project)}


def listed(database: Database, project: int) -> tuple[ClassCount, ...]:
    with database.read() as session:
        return project_counts(session, project).classes


def by_id(database: Database, project: int) -> dict[int, ClassCount]:
    return {shelf.id: shelf for shelf in listed(database, project)}


def test_names(database: Database, project: int) -> None:
    act(database, project, classes.add, "  데이지\n daisy ")
    act(database, project, classes.rename, ROSE, "Rose\N{COMBINING ACUTE ACCENT}")  # as macOS writes it
    assert list(shown(database, project)) == ["Rosé", "튤립", "데이지 daisy"]
    for wrong in ("", " \t", "x" * 81):
        with pytest.raises(ProjectError, match="1 to 80"):
            act(database, project, classes.rename, ROSE, wrong)
    with pytest.raises(ProjectError, match="named 튤립 already"):
        act(database, project, classes.add, "튤립")
    with pytest.raises(ProjectError, match="named 튤립 already"):
        act(database, project, classes.rename, ROSE, "튤립")
    act(database, project, classes.rename, TULIP, "x" * 80)
    assert list(shown(database, project)) == ["Rosé", "x" * 80, "데이지 daisy"]


def test_an_act_is_done_once_and_told_to_all(database: Database, project: int) -> None:
    for _time in range(2):
        act(database, project, classes.add, "데이지", operation_id="same")
    assert shown(database, project) == {"장미": 4, "튤립": 2, "데이지": 0}
    with database.read() as session:
        operation = session.get_one(LabelOperationRow, "same")
    # Without an author, so that nobody's U takes it back.
    assert (operation.number, operation.author, operation.direction) == (4, "", "do")
    assert turn(database, project, "u", "undo").about == "tulips"


def test_colours(database: Database, project: int) -> None:
    act(database, project, classes.recolour, ROSE, "#E0457B")
    assert by_id(database, project)[ROSE].colour == "#e0457b"
    with pytest.raises(ProjectError, match="expected a colour such as"):
        act(database, project, classes.recolour, ROSE, "red;background:url(x)")
    act(database, project, classes.recolour, ROSE, "")
    assert by_id(database, project)[ROSE].colour == ""


def test_a_key_belongs_to_one_class(database: Database, project: int) -> None:
    act(database, project, classes.set_hotkey, ROSE, "R")
    act(database, project, classes.set_hotkey, ROSE, "r", operation_id="again")
    assert by_id(database, project)[ROSE].hotkey == "r"
    act(database, project, classes.set_hotkey, TULIP, "r")
    assert {shelf.id: shelf.hotkey for shelf in listed(database, project)} == {ROSE: "", TULIP: "r"}
    for wrong in ("rr", "²", "-", " "):
        with pytest.raises(ProjectError, match="one digit or one letter"):
            act(database, project, classes.set_hotkey, ROSE, wrong)
    act(database, project, classes.set_hotkey, ROSE, "ㄱ")
    # A class that comes back has no key that another has got since.
    act(database, project, classes.remove, ROSE, author="anna")
    act(database, project, classes.set_hotkey, TULIP, "ㄱ")
    turn(database, project, "u", "undo")
    assert {shelf.id: shelf.hotkey for shelf in listed(database, project)} == {ROSE: "", TULIP: "ㄱ"}


def test_order(database: Database, project: int) -> None:
    act(database, project, classes.add, "c")
    act(database, project, classes.add, "d")
    act(database, project, classes.reorder, [4, 99, TULIP, 4])
    assert [(s.name, s.position) for s in listed(database, project)] == [
        ("d", 0), ("튤립", 1), ("장미", 2), ("c", 3)
    ]  # fmt: skip


def test_merging_and_its_undoing(database: Database, project: int) -> None:
    act(database, project, classes.merge, TULIP, ROSE, author="anna", operation_id="m")
    assert shown(database, project) == {"장미": 6}
    label(database, project, "since", [7], ROSE)
    turn(database, project, "u1", "undo", "m")
    assert shown(database, project) == {"장미": 5, "튤립": 2}
    turn(database, project, "r1", "redo", "m")
    assert shown(database, project) == {"장미": 7}
    for into in (TULIP, ROSE):
        with pytest.raises(ProjectError):
            act(database, project, classes.merge, ROSE, into, author="anna", operation_id="x")
    assert shown(database, project) == {"장미": 7}


def test_removing_and_its_undoing(database: Database, project: int) -> None:
    act(database, project, classes.remove, TULIP, author="anna", operation_id="r")
    assert shown(database, project) == {"장미": 4}
    assert "removed in the meantime" in (label(database, project, "x", [7], TULIP).error or "")
    turn(database, project, "u", "undo")
    assert shown(database, project) == {"장미": 4, "튤립": 2}
    turn(database, project, "again", "redo")
    assert shown(database, project) == {"장미": 4}


def test_an_empty_class_too(database: Database, project: int) -> None:
    act(database, project, classes.add, "데이지")
    act(database, project, classes.remove, 3, author="anna")
    assert shown(database, project) == {"장미": 4, "튤립": 2}
    assert turn(database, project, "u", "undo").changes == ()
    assert shown(database, project) == {"장미": 4, "튤립": 2, "데이지": 0}
    turn(database, project, "r", "redo")
    assert shown(database, project) == {"장미": 4, "튤립": 2}


def test_redoing_a_removal_takes_no_class_from_images_labelled_since(
    database: Database, project: int
) -> None:
    act(database, project, classes.remove, TULIP, author="anna", operation_id="r")
    turn(database, project, "u", "undo", "r")
    label(database, project, "since", [9], TULIP)
    turn(database, project, "again", "redo", "r")
    assert shown(database, project) == {"장미": 4, "튤립": 1}


def test_undo_that_gives_images_back_to_a_removed_class_revives_it(database: Database, project: int) -> None:
    label(database, project, "moved", [5, 6], ROSE)
    act(database, project, classes.remove, TULIP, author="anna")
    turn(database, project, "u", "undo", "moved")
    assert shown(database, project) == {"장미": 4, "튤립": 2}


def test_a_removed_name_can_be_taken_and_comes_back_with_a_number(database: Database, project: int) -> None:
    act(database, project, classes.remove, TULIP, author="anna", operation_id="r")
    act(database, project, classes.rename, ROSE, "튤립")
    act(database, project, classes.add, "튤립 2")
    assert shown(database, project) == {"튤립": 4, "튤립 2": 0}
    turn(database, project, "u", "undo", "r")
    assert by_id(database, project)[TULIP].name == "튤립 3"
    assert shown(database, project) == {"튤립": 4, "튤립 3": 2, "튤립 2": 0}


def test_adding_a_removed_class_makes_it_a_class_again(database: Database, project: int) -> None:
    act(database, project, classes.remove, TULIP, author="anna")
    act(database, project, classes.add, "튤립")
    assert by_id(database, project)[TULIP].name == "튤립"
    act(database, project, classes.remove, TULIP, author="anna", operation_id="once more")
    with database.write() as session:
        new = SetLabels("by name", [Group([8], "labelled", class_name="튤립")])
        labels.apply(session, project, "anna", [new], NOW)
    assert by_id(database, project)[TULIP].count == 1


def test_classes_of_other_projects_are_not_touched(database: Database, project: int) -> None:
    other = small(database, 2, "other", first=21)
    acts: list[tuple[Callable[..., None], tuple[object, ...], dict[str, str]]] = [
        (classes.rename, (ROSE, "x"), {}),
        (classes.recolour, (ROSE, "#000000"), {}),
        (classes.set_hotkey, (ROSE, "x"), {}),
        (classes.merge, (ROSE, 3), {"author": "anna"}),
        (classes.merge, (3, ROSE), {"author": "anna"}),
        (classes.remove, (99,), {"author": "anna"}),
    ]
    for what, arguments, more in acts:
        with pytest.raises(ProjectError, match="no such class in this project"):
            act(database, other, what, *arguments, **more)
    with pytest.raises(ProjectError, match="no such project"):
        act(database, 99, classes.add, "x")
    act(database, other, classes.reorder, [TULIP, ROSE])
    with database.read() as session:
        rows = session.scalars(select(ImageClassRow).where(ImageClassRow.project_id == project)).all()
    assert [(r.name, r.position, r.colour, r.hotkey) for r in rows] == [
        ("장미", 0, "", ""),
        ("튤립", 1, "", ""),
    ]
