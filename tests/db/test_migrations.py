"""The schema: built by migrations alone, equal to the models, safe to start twice."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from db.engine import Base, Database
from db.labelling import latest_operation_number
from db.migrate import SchemaTooNew, migrate
from db.migrations import HEAD
from db.models import (
    ImageClassRow,
    IngestOutcomeRow,
    LabelOperationRow,
    LabelRow,
    ModelRow,
    ShareLinkRow,
    VisitorFeedbackRow,
)
from studio.retrain.curve import CurvePoint
from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.options import RunOptions
from studio.retrain.runs.run_records import create_run, get_curve, get_run, list_runs, set_job
from studio.share.links import create, list_links, resolve_token
from tests.conftest import NOW
from tests.curate.material import apply_as, undo_operation


def test_migrations_make_the_models_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "db:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_the_second_step_keeps_what_the_first_schema_holds(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{(tmp_path / '옛 studio.sqlite3').as_posix()}")
    config = Config()
    config.set_main_option("script_location", "db:migrations")
    with database.write() as session:
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "0001")
        at = "2026-01-02 03:04:05"
        session.execute(text("INSERT INTO projects (id, name, created_at) VALUES (1, '꽃', :at)"), {"at": at})
        session.execute(
            text(
                "INSERT INTO finds (project_id, name, outcome, reason, at) "
                "VALUES (1, '장미/a.jpg', 'refused', 'a.jpg is empty', :at)"
            ),
            {"at": at},
        )
    migrate(database)
    with database.read() as session:
        assert compare_metadata(MigrationContext.configure(session.connection()), Base.metadata) == []
        find = session.scalars(select(IngestOutcomeRow)).one()
    assert (find.name, find.reason) == ("장미/a.jpg", "a.jpg is empty")
    assert (find.skip_reason, find.page_address, find.site) == ("", "", "")


LABELLED = """
INSERT INTO projects (id, name, created_at) VALUES (1, '꽃', :at), (2, 'other', :at);
INSERT INTO classes (id, project_id, name, position)
  VALUES (1, 1, '장미', 0), (2, 1, '튤립', 1), (3, 2, 'x', 0);
INSERT INTO images (id, sha256, format, width_px, height_px, size_bytes, perceptual_hash, created_at)
  VALUES (1, 'a', 'PNG', 1, 1, 1, '0', :at), (2, 'b', 'PNG', 1, 1, 1, '0', :at),
  (3, 'c', 'PNG', 1, 1, 1, '0', :at);
INSERT INTO label_operations (id, project_id, undoes, at)
  VALUES ('z in', 1, NULL, :at), ('theirs', 2, NULL, :at);
INSERT INTO label_operations (id, project_id, undoes, at) VALUES ('do', 1, NULL, :later);
INSERT INTO label_operations (id, project_id, undoes, at) VALUES ('an undo', 1, 'do', :later);
INSERT INTO label_operations (id, project_id, undoes, at) VALUES ('redo', 1, 'an undo', :last);
INSERT INTO labels (project_id, image_id, class_id, state, updated_at) VALUES
  (1, 1, 2, 'labelled', :last), (1, 2, NULL, 'rejected', :last), (1, 3, NULL, 'unlabelled', :at),
  (2, 1, 3, 'labelled', :at);
INSERT INTO label_changes
  (operation_id, image_id, state_before, class_id_before, state_after, class_id_after) VALUES
  ('z in', 1, NULL, NULL, 'labelled', 1), ('z in', 2, NULL, NULL, 'unlabelled', NULL),
  ('z in', 3, NULL, NULL, 'unlabelled', NULL), ('theirs', 1, NULL, NULL, 'labelled', 3),
  ('do', 1, 'labelled', 1, 'labelled', 2), ('do', 2, 'unlabelled', NULL, 'rejected', NULL),
  ('an undo', 1, 'labelled', 2, 'labelled', 1), ('an undo', 2, 'rejected', NULL, 'unlabelled', NULL),
  ('redo', 1, 'labelled', 1, 'labelled', 2), ('redo', 2, 'unlabelled', NULL, 'rejected', NULL)
"""


def test_the_third_step_numbers_the_history_and_loses_none_of_it(database: Database) -> None:
    Base.metadata.drop_all(database.engine)
    config = Config()
    config.set_main_option("script_location", "db:migrations")
    moments = {"at": "2026-01-02 03:04:05", "later": "2026-01-03 03:04:05", "last": "2026-01-04 03:04:05"}
    with database.write() as session:
        session.execute(text("DROP TABLE alembic_version"))
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "0002")
        for statement in LABELLED.split(";"):
            used = {name: at for name, at in moments.items() if f":{name}" in statement}
            session.execute(text(statement), used)
        changes = session.execute(text("SELECT * FROM label_changes ORDER BY operation_id, image_id")).all()
        if database.engine.dialect.name == "sqlite":
            assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
    migrate(database)
    with database.read() as session:
        assert compare_metadata(MigrationContext.configure(session.connection()), Base.metadata) == []
        kept = session.execute(text("SELECT * FROM label_changes ORDER BY operation_id, image_id")).all()
        operation, label = LabelOperationRow, LabelRow
        operations = session.execute(
            select(
                operation.project_id, operation.number, operation.id, operation.direction, operation.undoes,
                operation.author, operation.removed_class_id,
            ).order_by(operation.project_id, operation.number)
        ).all()  # fmt: skip
        labels = session.execute(
            select(label.project_id, label.image_id, label.operation_number, label.split).order_by(
                label.project_id, label.image_id
            )
        ).all()
        classes = session.scalars(select(ImageClassRow).order_by(ImageClassRow.id)).all()
        found = session.scalars(select(LabelOperationRow)).all()
    assert kept == changes
    assert len(kept) == 10
    assert operations == [
        (1, 1, "z in", "do", None, "", None),
        (1, 2, "do", "do", None, "", None),
        (1, 3, "an undo", "undo", "do", "", None),
        (1, 4, "redo", "redo", "an undo", "", None),
        (2, 1, "theirs", "do", None, "", None),
    ]
    outcomes = {o.id: sorted(map(tuple, o.outcome)) for o in found}
    assert outcomes["z in"] == [("labelled", 1, 1, 1), ("unlabelled", None, 1, 2)]
    assert outcomes["do"] == [("labelled", 2, 0, 1), ("rejected", None, 0, 1)]
    assert labels == [(1, 1, 4, None), (1, 2, 4, None), (1, 3, 1, None), (2, 1, 1, None)]
    assert [(c.colour, c.hotkey, c.removed_at) for c in classes] == [("", "", None)] * 3
    # It goes on from there.
    with database.write() as session:
        (undone,) = apply_as(session, 1, "", undo_operation("once more", "redo"))
        assert len(undone.changes or ()) == 2
        assert latest_operation_number(session, 1) == 5


RUN = """
INSERT INTO projects (id, name, created_at) VALUES (1, '꽃', :at);
INSERT INTO jobs (id, kind, arguments, project_id, state, phase, done, phase_started_from, stop_asked,
  attempts, created_at) VALUES (1, 'retrain', '{}', 1, 'done', '', 0, 0, false, 1, :at);
INSERT INTO snapshots (id, project_id, hash, created_at) VALUES (1, 1, 'h', :at);
INSERT INTO runs (id, project_id, snapshot_id, job_id, folder, options, created_at)
  VALUES (50, 1, 1, 1, 'f', '{"seed": 3}', :at);
INSERT INTO curve_points (run_id, split, step, accuracy, cross_entropy) VALUES (50, 'training', 1, 0.5, 1.5);
INSERT INTO models (id, run_id, sha256, size_bytes, created_at) VALUES (7, 50, 'm', 3, :at)
"""


def test_the_fourth_step_keeps_runs_and_lets_one_job_do_several(database: Database) -> None:
    Base.metadata.drop_all(database.engine)
    config = Config()
    config.set_main_option("script_location", "db:migrations")
    with database.write() as session:
        session.execute(text("DROP TABLE alembic_version"))
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "0003")
        for statement in RUN.split(";"):
            session.execute(text(statement), {"at": "2026-01-02 03:04:05"} if ":at" in statement else {})
    migrate(database)
    with database.write() as session:
        assert compare_metadata(MigrationContext.configure(session.connection()), Base.metadata) == []
        found = get_run(session, 50)
        assert (found.options.seed, found.job_id, found.folder) == (3, 1, "f")
        assert get_curve(session, 50) == (CurvePoint(1, "training", 0.5, 1.5),)
        assert session.scalars(select(ModelRow.id)).all() == [7]
        second = create_run(session, 1, 1, RunOptions(), NOW)
        set_job(session, second, 1)


RESULTS = """
INSERT INTO projects (id, name, created_at) VALUES (1, '꽃', :at);
INSERT INTO images (id, sha256, format, width_px, height_px, size_bytes, perceptual_hash, created_at)
  VALUES (1, 'a', 'PNG', 1, 1, 1, '0', :at), (2, 'b', 'PNG', 1, 1, 1, '0', :at);
INSERT INTO snapshots (id, project_id, hash, created_at) VALUES (1, 1, 'h', :at), (2, 1, 'i', :at);
INSERT INTO snapshot_images (snapshot_id, image_id, class_name, split)
  VALUES (1, 1, '장미', 'training'), (1, 2, '장미', 'testing');
INSERT INTO runs (id, project_id, snapshot_id, folder, options, evaluation, created_at, ended_at)
  VALUES (1, 1, 1, 'f', '{}', :evaluation, :at, :at), (2, 1, 2, 'g', '{}', NULL, :at, NULL)
"""


def test_the_fifth_step_keeps_what_runs_came_to_and_counts_their_images(database: Database) -> None:
    Base.metadata.drop_all(database.engine)
    config = Config()
    config.set_main_option("script_location", "db:migrations")
    prediction = {"sha256": "b", "true": "장미", "predicted": "장미", "score": 0.9}
    older = {
        "accuracy": 1.0,
        "n": 1,
        "interval": [0.2, 1.0],
        "classes": ["장미"],
        "confusion": [[1]],
        "scores": [{"label": "장미", "precision": 1.0, "recall": 1.0, "f1": 1.0, "count": 1}],
        "predictions": [prediction],
    }
    values = {"at": "2026-01-02 03:04:05", "evaluation": json.dumps(older)}
    with database.write() as session:
        session.execute(text("DROP TABLE alembic_version"))
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "0004")
        for statement in RESULTS.split(";"):
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            session.execute(text(statement), used)
    migrate(database)
    with database.read() as session:
        assert compare_metadata(MigrationContext.configure(session.connection()), Base.metadata) == []
        waiting, finished = list_runs(session, 1)
        assert (waiting.id, waiting.images, waiting.evaluation) == (2, 0, None)
        assert finished.images == 2
        assert finished.evaluation is not None
        assert (finished.evaluation.accuracy, finished.evaluation.predictions) == (1, ())
        whole = get_run(session, 1).evaluation
    assert whole == Evaluation.from_json(older)
    assert whole.predictions[0].sha256 == "b"


def test_the_sixth_step_keeps_runs_and_lets_them_be_shared(database: Database) -> None:
    Base.metadata.drop_all(database.engine)
    config = Config()
    config.set_main_option("script_location", "db:migrations")
    with database.write() as session:
        session.execute(text("DROP TABLE alembic_version"))
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "0005")
        for statement in RUN.split(";"):
            session.execute(text(statement), {"at": "2026-01-02 03:04:05"} if ":at" in statement else {})
        session.execute(
            text(
                "INSERT INTO images (id, sha256, format, width_px, height_px, size_bytes, perceptual_hash, "
                "created_at) VALUES (1, 'a', 'PNG', 1, 1, 1, '0', :at)"
            ),
            {"at": "2026-01-02 03:04:05"},
        )
        session.execute(text("UPDATE runs SET ended_at = :at"), {"at": "2026-01-02 03:04:05"})
    migrate(database)
    with database.write() as session:
        assert compare_metadata(MigrationContext.configure(session.connection()), Base.metadata) == []
        assert get_run(session, 50).options.seed == 3
        assert get_curve(session, 50) == (CurvePoint(1, "training", 0.5, 1.5),)
        link_id, token = create(session, 50, "데모", NOW)
        session.add(VisitorFeedbackRow(link_id=link_id, answered="장미", score=0.9, image_id=1, at=NOW))
        session.flush()
        (link,) = list_links(session, 1)
        assert (link.name, link.page_views, link.feedback_count, link.feedback_images) == ("데모", 0, 1, 1)
        assert resolve_token(session, token, NOW) is not None
    with database.write() as session:
        # Feedback stays when its image is deleted; links go with their run.
        session.execute(text("DELETE FROM images"))
        assert session.scalars(select(VisitorFeedbackRow.image_id)).all() == [None]
        session.execute(text("DELETE FROM runs"))
        assert (
            session.scalars(select(ShareLinkRow.id)).all()
            == session.scalars(select(VisitorFeedbackRow.id)).all()
            == []
        )


def test_two_programs_may_start_at_once_on_a_new_folder(tmp_path: Path) -> None:
    url = f"sqlite:///{(tmp_path / 'a b' / '새 폴더' / 's.sqlite3').as_posix()}"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _n: migrate(Database(url)), range(4)))
    with Database(url).engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [HEAD]


def test_a_new_file_that_another_program_prepares_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite3"
    database = Database(f"sqlite:///{file.as_posix()}")
    with closing(sqlite3.connect(file)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN IMMEDIATE")
        migrated = pool.submit(migrate, database)
        with pytest.raises(TimeoutError):
            migrated.result(0.5)
        other.rollback()
        migrated.result()
    database.close()


def test_a_newer_schema_is_not_touched(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew):
        migrate(database)


def test_sqlite_is_set_up_for_many(database: Database) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("not SQLite")
    with database.read() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert session.execute(text("PRAGMA busy_timeout")).scalar() == 15_000
