"""Moving, rejecting, undoing: what the grid shows afterwards, and what it never forgets."""

import pytest

from db.engine import Database
from db.labelling import Target, record
from db.models import Image, ImageClass, Project, Provenance
from studio.curate import labels
from studio.curate.grid import counts, page
from studio.errors import ProjectError
from tests.conftest import NOW


@pytest.fixture
def project(database: Database) -> int:
    with database.write() as session:
        project = Project(name="정원", created_at=NOW)
        session.add(project)
        session.flush()
        made = [ImageClass(project_id=project.id, name=n, position=i) for i, n in enumerate(["장미", "튤립"])]
        session.add_all(made)
        images = [
            Image(
                sha256=f"{n:064x}",
                format="PNG",
                width_px=4,
                height_px=3,
                size_bytes=1,
                perceptual_hash="0" * 16,
                created_at=NOW,
            )
            for n in range(10)
        ]
        session.add_all(images)
        session.flush()
        session.add_all(
            Provenance(
                project_id=project.id, image_id=image.id, kind="folder", address=f"장미/{n}.png", found_at=NOW
            )
            for n, image in enumerate(images)
        )
        targets: dict[int, Target] = {image.id: ("labelled", made[0].id) for image in images[:6]}
        targets |= {image.id: ("unlabelled", None) for image in images[6:]}
        record(session, operation_id="in", project_id=project.id, at=NOW, targets=targets)
        return project.id


def shown(database: Database, project: int) -> tuple[dict[str, int], int, int]:
    with database.read() as session:
        found = counts(session, project)
    return dict(found.by_class), found.unlabelled, found.rejected


def test_moving_rejecting_and_unlabelling(database: Database, project: int) -> None:
    assert shown(database, project) == ({"장미": 6, "튤립": 0}, 4, 0)
    with database.write() as session:
        labels.label(session, project, [1, 2], "튤립", operation_id="a", now=NOW)
        labels.label(session, project, [7], "  데이지 ", operation_id="b", now=NOW)
        labels.reject(session, project, [3], operation_id="c", now=NOW)
        labels.unlabel(session, project, [4], operation_id="d", now=NOW)
    assert shown(database, project) == ({"장미": 2, "튤립": 2, "데이지": 1}, 4, 1)


def test_every_act_can_be_undone_and_undoing_twice_changes_nothing(database: Database, project: int) -> None:
    before = shown(database, project)
    with database.write() as session:
        labels.label(session, project, [1, 2, 7], "튤립", operation_id="a", now=NOW)
    with database.write() as session:
        assert labels.undo(session, project, "a", new_operation_id="u", now=NOW) == 3
        assert labels.undo(session, project, "a", new_operation_id="u2", now=NOW) == 0
    assert shown(database, project) == before
    with database.write() as session:
        assert labels.undo(session, project, "u", new_operation_id="redo", now=NOW) == 3
    assert shown(database, project) == ({"장미": 4, "튤립": 3}, 3, 0)


def test_undo_leaves_a_newer_label_alone(database: Database, project: int) -> None:
    with database.write() as session:
        labels.label(session, project, [1, 2], "튤립", operation_id="a", now=NOW)
        labels.reject(session, project, [2], operation_id="b", now=NOW)
        assert labels.undo(session, project, "a", new_operation_id="u", now=NOW) == 1
    assert shown(database, project) == ({"장미": 5, "튤립": 0}, 4, 1)


def test_a_stranger_picture_cannot_be_brought_in_by_its_number(database: Database, project: int) -> None:
    with database.write() as session:
        other = Project(name="other", created_at=NOW)
        session.add(other)
        session.flush()
        labels.label(session, other.id, [1, 999], "x", operation_id="a", now=NOW)
        assert counts(session, other.id).total == 0


@pytest.mark.parametrize("name", ["", "   ", "x" * 81])
def test_a_class_needs_a_name(database: Database, project: int, name: str) -> None:
    with pytest.raises(ProjectError, match="1 to 80"), database.write() as session:
        labels.label(session, project, [1], name, operation_id="a", now=NOW)


def test_pages_hold_every_picture_once(database: Database, project: int) -> None:
    with database.read() as session:
        found = [
            picture
            for number in (1, 2, 3)
            for picture in page(session, project, state="labelled", class_name="장미", number=number, size=2)
        ]
        waiting = page(session, project, state="unlabelled", class_name=None, number=1, size=50)
    assert [picture.id for picture in found] == [1, 2, 3, 4, 5, 6]
    assert found[0].name == "0.png"
    assert {picture.class_name for picture in waiting} == {None}
