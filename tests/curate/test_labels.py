"""Labelling, rejecting, undoing: labels afterwards, results, clashes, history."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, select

from db.engine import Database
from db.labelling import LabelOperation, LabelTarget
from db.models import LabelChangeRow, LabelClashRow, LabelOperationRow, LabelRow
from studio.curate import classes, labels
from studio.curate.items import count_images
from studio.curate.labels import ImageLabel, OperationResult
from studio.errors import ProjectError
from tests.conftest import NOW
from tests.curate.material import apply_as, label_operation, redo_operation, small, undo_operation


@pytest.fixture
def project(database: Database) -> int:
    """Ten unlabelled images, 1 to 10, and the classes 장미 (1) and 튤립 (2)."""
    return small(database)


def done(
    database: Database, project: int, *operations: LabelOperation, author: str = "anna"
) -> tuple[OperationResult, ...]:
    with database.write() as session:
        return apply_as(session, project, author, *operations)


def to(
    name: str, images: Sequence[int], state: Any = "labelled", class_id: int | None = 1, **more: Any
) -> LabelOperation:
    return label_operation(name, (images, LabelTarget(state, class_id, more.pop("class_name", None))), **more)


def now(database: Database, project: int) -> dict[int, tuple[str, int | None]]:
    """The images that are not unlabelled."""
    with database.read() as session:
        rows = session.execute(
            select(LabelRow.image_id, LabelRow.state, LabelRow.class_id)
            .where(LabelRow.project_id == project, LabelRow.state != "unlabelled")
            .order_by(LabelRow.image_id)
        )
        return {image: (state, class_id) for image, state, class_id in rows}


def history(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as session:
        operation = LabelOperationRow
        rows = session.execute(
            select(operation.id, operation.author, operation.direction).order_by(operation.number)
        )
        return [(str(row.id), str(row.author), str(row.direction)) for row in rows][1:]


def test_several_groups_in_one_operation(database: Database, project: int) -> None:
    act = label_operation(
        "a",
        ([1, 2], LabelTarget("labelled", 1)),
        ([3], LabelTarget("rejected")),
        ([4], LabelTarget("labelled", class_name="  데이지 ")),
        ([5], LabelTarget("labelled", class_name="데이지")),
        ([6], LabelTarget("unlabelled")),
    )
    (result,) = done(database, project, act)
    assert result == OperationResult(
        "a",
        2,
        (
            ImageLabel(1, "labelled", 1),
            ImageLabel(2, "labelled", 1),
            ImageLabel(3, "rejected", None),
            ImageLabel(4, "labelled", 3),
            ImageLabel(5, "labelled", 3),
            ImageLabel(6, "unlabelled", None),
        ),
    )
    assert now(database, project) == {
        1: ("labelled", 1), 2: ("labelled", 1), 3: ("rejected", None), 4: ("labelled", 3), 5: ("labelled", 3)
    }  # fmt: skip
    with database.read() as session:
        assert count_images(session, project).by_class == {"장미": 2, "튤립": 0, "데이지": 2}


def test_the_same_act_again_changes_nothing_and_gets_the_same_answer(
    database: Database, project: int
) -> None:
    asked: list[LabelOperation] = [
        to("a", [1, 2]),
        undo_operation("u"),
        undo_operation("nothing"),
        to("b", [3]),
    ]
    first = done(database, project, *asked)
    assert [result.number for result in first] == [2, 3, 0, 5]
    assert first[1].original_id == "a"
    assert done(database, project, *asked) == first
    # An undo that found nothing to take back finds nothing the second time either.
    assert now(database, project) == {3: ("labelled", 1)}
    assert len(history(database)) == 4


def test_a_bad_act_has_its_error_and_the_others_are_done(database: Database, project: int) -> None:
    other = small(database, 3, "other", first=21)
    with database.write() as session:
        classes.remove_class(session, project, 2, author="anna", operation_id="removed", now=NOW)
    theirs = done(database, project, to("t", [1], class_id=3))[0]
    asked: list[LabelOperation] = [
        to("a", [1], class_id=2),
        to("b", [1], class_id=99),
        to("c", [2], class_id=None, class_name="x" * 81),
        to("d", [3]),
        undo_operation("e", "not there"),
        to("other in", [3]),
    ]
    results = done(database, project, *asked)
    assert "no such class in this project" in (theirs.error or "")
    assert "튤립 was removed" in (results[0].error or "")
    assert "no such class" in (results[1].error or "")
    assert "1 to 80" in (results[2].error or "")
    assert results[3] == OperationResult("d", 3, (ImageLabel(3, "labelled", 1),))
    assert "no such step" in (results[4].error or "")
    assert "another project" in (results[5].error or "")
    assert now(database, project) == {3: ("labelled", 1)}
    assert now(database, other) == {}


def test_without_a_project_nothing_is_done(database: Database) -> None:
    with pytest.raises(ProjectError, match="no such project"):
        done(database, 99, to("a", [1]))


def test_images_of_other_projects_are_left_out(database: Database, project: int) -> None:
    other = small(database, 3, "other", first=21)
    (result,) = done(database, project, to("a", [2, 21, 999]))
    assert result.changes == (ImageLabel(2, "labelled", 1),)
    assert now(database, other) == {}


def test_a_clash_is_stored_returned_and_settled(database: Database, project: int) -> None:
    done(database, project, to("b", [1, 2, 3], class_id=2, seen=1), author="boris")
    (clash,) = done(database, project, to("a", [1, 2, 4], seen=1))
    assert clash.changes == (ImageLabel(4, "labelled", 1),)
    assert clash.clashes == (ImageLabel(1, "labelled", 2), ImageLabel(2, "labelled", 2))
    assert done(database, project, to("a", [1, 2, 4], seen=1)) == (clash,)
    # Whoever agrees, or has seen it, does not clash; nor do two tabs of one browser.
    assert done(database, project, to("c", [3], class_id=2, seen=1))[0].clashes == ()
    assert done(database, project, to("d", [5], seen=3), to("e", [5], class_id=2, seen=3))[1].clashes == ()
    done(database, project, to("f", [1], seen=6))
    with database.read() as session:
        assert session.scalars(select(LabelClashRow.image_id)).all() == [2]


def test_what_the_studio_does_clashes_with_nobody(database: Database, project: int) -> None:
    with database.write() as session:
        apply_as(session, project, "", label_operation("x", ([1], LabelTarget("rejected"))))
    assert done(database, project, to("a", [1], seen=1))[0].clashes == ()


def test_undo_and_redo_go_back_and_forth_each_for_himself(database: Database, project: int) -> None:
    done(database, project, to("a1", [1]), to("a2", [2]))
    done(database, project, to("b", [3]), author="boris")
    undos = done(database, project, undo_operation("u1"), undo_operation("u2"), undo_operation("u3"))
    assert [result.original_id for result in undos] == ["a2", "a1", None]
    assert now(database, project) == {3: ("labelled", 1)}
    redos = done(database, project, *(redo_operation(f"r{n}") for n in (1, 2, 3)))
    assert [result.original_id for result in redos] == ["a1", "a2", None]
    assert set(now(database, project)) == {1, 2, 3}
    again = done(database, project, undo_operation("u4"), undo_operation("u5"))
    assert [result.original_id for result in again] == ["a2", "a1"]
    assert set(now(database, project)) == {3}


def test_a_new_act_ends_what_can_be_redone(database: Database, project: int) -> None:
    done(database, project, to("a", [1]), undo_operation("u"), to("b", [2]))
    assert done(database, project, redo_operation("r"))[0].number == 0
    assert set(now(database, project)) == {2}


def test_anybody_can_take_back_what_the_history_names(database: Database, project: int) -> None:
    done(database, project, to("b", [3]), author="boris")
    (undone,) = done(database, project, undo_operation("u", "b"))
    assert undone.original_id == "b"
    # Any link of the chain means its end.
    assert done(database, project, undo_operation("u2", "b"))[0].number == 0
    assert done(database, project, redo_operation("r", "b"))[0].original_id == "b"
    assert done(database, project, undo_operation("u3", "u"))[0].original_id == "b"
    assert now(database, project) == {}
    assert done(database, project, redo_operation("r2"))[0].original_id == "b"
    # What was redone is the redoer's to undo, and nothing of the other's is left to take back.
    assert done(database, project, undo_operation("x"), author="boris")[0].number == 0
    assert done(database, project, undo_operation("u4"))[0].original_id == "b"


def test_undo_leaves_a_newer_label_alone(database: Database, project: int) -> None:
    done(database, project, to("a", [1, 2]))
    done(database, project, to("b", [2], "rejected", None, seen=2), author="boris")
    (result,) = done(database, project, undo_operation("u"))
    assert result.changes == (ImageLabel(1, "unlabelled", None),)
    assert now(database, project) == {2: ("rejected", None)}


def test_images_stay_when_their_coming_is_undone(database: Database, project: int) -> None:
    done(database, project, undo_operation("u", "정원 in"))
    with database.read() as session:
        assert count_images(session, project).unlabelled == 10


def test_many_images_are_not_listed(database: Database) -> None:
    project = small(database, 2_500)
    (result,) = done(database, project, to("a", range(1, 2_501)))
    assert (result.number, result.changes) == (2, None)
    assert done(database, project, undo_operation("u"))[0].changes is None
    with database.read() as session:
        assert session.scalar(select(func.count()).where(LabelChangeRow.operation_id == "u")) == 2_500
        assert count_images(session, project).unlabelled == 2_500


def test_operations_without_an_author(database: Database, project: int) -> None:
    with database.write() as session:
        assert labels.label_images(session, project, [1, 2, 7], "튤립", operation_id="a", now=NOW)
        assert not labels.label_images(session, project, [3], "튤립", operation_id="a", now=NOW)
        assert apply_as(session, project, "", label_operation("c", ([3], LabelTarget("rejected"))))
        assert apply_as(session, project, "", label_operation("d", ([2], LabelTarget("unlabelled"))))
    assert now(database, project) == {1: ("labelled", 2), 3: ("rejected", None), 7: ("labelled", 2)}
    with database.write() as session:
        undone, again, redone = apply_as(
            session,
            project,
            "",
            undo_operation("u", "a"),
            undo_operation("u2", "a"),
            redo_operation("redo", "u"),
        )
    assert [len(each.changes or ()) for each in (undone, again, redone)] == [2, 0, 2]
    assert now(database, project) == {1: ("labelled", 2), 3: ("rejected", None), 7: ("labelled", 2)}
    # None of it is anybody's to undo by a key.
    assert done(database, project, undo_operation("x"))[0].number == 0
