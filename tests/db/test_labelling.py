"""Labels and their history: an operation is recorded once, as a whole or not at all, with many writers."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from db.engine import Database
from db.labelling import LabelOperation, LabelTarget, record_operation
from db.models import ImageClassRow, ImageRow, LabelChangeRow, LabelOperationRow, LabelRow, ProjectRow
from tests.conftest import NOW


@pytest.fixture
def project(database: Database) -> int:
    with database.write() as session:
        project = ProjectRow(name="p", created_at=NOW)
        session.add(project)
        session.flush()
        session.add_all(ImageClassRow(project_id=project.id, name=n, position=i) for i, n in enumerate("ab"))
        session.add_all(
            ImageRow(
                sha256=f"{number:064x}",
                format="PNG",
                width_px=1,
                height_px=1,
                size_bytes=1,
                perceptual_hash="0" * 16,
                created_at=NOW,
            )
            for number in range(1200)
        )
        return project.id


def test_an_act_is_done_once_however_often_it_is_asked(database: Database, project: int) -> None:
    for expected in (True, False, False):
        with database.write() as session:
            done = record_operation(
                session, LabelOperation("op", project, NOW, {1: LabelTarget("labelled", 1)})
            )
        assert (done is not None) is expected
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(LabelChangeRow)) == 1


def test_a_bulk_act_of_more_images_than_a_statement_takes(database: Database, project: int) -> None:
    everything = dict.fromkeys(range(1, 1201), LabelTarget("labelled", 1))
    with database.write() as session:
        record_operation(session, LabelOperation("in", project, NOW, everything))
    with database.write() as session:
        moved = dict.fromkeys(everything, LabelTarget("labelled", 2))
        record_operation(session, LabelOperation("move", project, NOW, moved))
    with database.read() as session:
        assert session.scalar(select(func.count()).where(LabelRow.class_id == 2)) == 1200
        before = session.scalars(
            select(LabelChangeRow.class_id_before).where(LabelChangeRow.operation_id == "move").distinct()
        )
        assert before.all() == [1]


def test_a_failed_act_leaves_nothing(database: Database, project: int) -> None:
    with pytest.raises(RuntimeError), database.write() as session:
        record_operation(session, LabelOperation("op", project, NOW, {1: LabelTarget("labelled", 1)}))
        raise RuntimeError
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(LabelOperationRow)) == 0
        assert session.scalar(select(func.count()).select_from(LabelRow)) == 0


def test_many_writers_wait_for_each_other(database: Database, project: int) -> None:
    def write(number: int) -> None:
        with database.write() as session:
            target = {number + 1: LabelTarget("labelled", number % 2 + 1)}
            record_operation(session, LabelOperation(f"op{number}", project, NOW, target))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(200)))
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(LabelRow)) == 200
