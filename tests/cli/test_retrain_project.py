"""`python -m studio retrain --project`: a run of the database, followed to its end."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from db.engine import Database
from studio.cli.collect import import_
from studio.cli.retrain import retrain
from studio.cli.run_job import follow
from studio.data import open_database
from studio.datasets.projects import Project, find_project
from studio.errors import JobFailed, OutputRefused, ProjectError, Stopped
from studio.images.store import ImageStore
from studio.jobs import queue
from studio.retrain import tasks
from studio.retrain.options import RunOptions
from studio.retrain.runs import run_records
from studio.settings import settings
from tests.retrain.material import data_folder, draw

NAME = "내 도형 shapes"
OPTIONS = RunOptions(how_many_training_steps=15, optimizer="adam")
WORDS = ["--project", NAME, "--how_many_training_steps", "15", "--optimizer", "adam"]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The database of a data folder that holds the backbone and one project."""
    with data_folder(tmp_path_factory.mktemp("project") / "studio 홈") as folder:
        images = draw(folder.parent / "그림", count=25)
        brought = CliRunner().invoke(import_, [str(images), "--project", NAME], catch_exceptions=False)
        assert brought.exit_code == 0
        opened = open_database(settings())
        yield opened
        opened.close()


def project(database: Database) -> Project:
    with database.read() as session:
        found = find_project(session, NAME)
    assert found is not None
    return found


def run(*words: object) -> Result:
    return CliRunner().invoke(retrain, [*WORDS, *map(str, words)], catch_exceptions=False)


def test_a_run_stands_in_the_database_and_leaves_its_files(database: Database, tmp_path: Path) -> None:
    words = ["--name", "첫 run", "--run_dir", tmp_path / "여기", "--output_labels", tmp_path / "labels.txt"]
    done = run(*words)
    assert done.exit_code == 0, done.stderr
    where, last = done.stdout.splitlines()
    assert str(tmp_path / "여기") in where
    with database.read() as session:
        (stored,) = run_records.list_runs(session, project(database).id)
        assert len(run_records.get_curve(session, stored.id)) > 15
    assert (stored.name, stored.options, stored.job_state) == ("첫 run", OPTIONS, "done")
    assert stored.evaluation is not None
    assert last == f"Final test accuracy = {stored.evaluation.accuracy:.1%} (N={stored.evaluation.n})"
    model = settings().runs_dir / stored.folder / "model.tflite"
    assert (tmp_path / "여기" / "model.tflite").read_bytes() == model.read_bytes()
    assert (tmp_path / "labels.txt").read_text(encoding="utf-8") == "square\n원 circle\n"
    with pytest.raises(OutputRefused, match="여기"):
        run("--run_dir", tmp_path / "여기")


def test_a_run_that_was_stopped_is_gone_on_with(database: Database) -> None:
    store, at = ImageStore(settings().images_dir), datetime.now(UTC)
    seeded = replace(OPTIONS, seed=4)
    stopped = tasks.enqueue_run(database, store, project(database).id, seeded, at)
    with database.write() as session:
        job_id = run_records.get_run(session, stopped).job_id
        assert job_id is not None
        queue.request_stop(session, job_id, at)
    assert run("--seed", 4).exit_code == 0
    with database.read() as session:
        newest = run_records.list_runs(session, project(database).id)[0]
    assert (newest.id, newest.job_state) == (stopped, "done")
    # Once it has ended well, the same words ask for another.
    assert run("--seed", 4).exit_code == 0
    with database.read() as session:
        assert run_records.list_runs(session, project(database).id)[0].id > stopped


def test_a_missing_project_is_reported_and_not_made(database: Database) -> None:
    with pytest.raises(ProjectError, match="없는 것"):
        CliRunner().invoke(retrain, ["--project", "없는 것"], catch_exceptions=False)
    with database.read() as session:
        assert find_project(session, "없는 것") is None


@pytest.mark.parametrize(
    ("state", "error", "raised"),
    [("done", None, None), ("failed", "no disk", JobFailed), ("stopped", None, Stopped)],
)
def test_what_another_process_does_is_watched_to_its_end(
    state: queue.State, error: str | None, raised: type[Exception] | None, database: Database
) -> None:
    at = datetime.now(UTC)
    with database.write() as session:
        job_id = queue.enqueue(session, "survey", {}, project(database).id, at)
        assert queue.claim_one(session, job_id, "another", at) is not None

    def end() -> None:
        with database.write() as session:
            queue.end(session, job_id, "another", datetime.now(UTC), state, result={"n": 3}, error=error)

    timer = threading.Timer(0.7, end)
    timer.start()
    try:
        if raised is None:
            assert follow(database, job_id) == {"n": 3}
        else:
            with pytest.raises(raised, match=error or "Stopped"):
                follow(database, job_id)
    finally:
        timer.join()
