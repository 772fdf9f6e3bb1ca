"""Retraining on a project's labels: a run of the database like those that the page asks for."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.cli.retrain_folder import Tell
from studio.errors import OutputRefused
from studio.language import _
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult, read_run
from studio.retrain.run_folder import CARD
from studio.settings import settings

if TYPE_CHECKING:
    from db.engine import Database
    from studio.collect.store import PictureStore


def retrain_project(given: dict[str, Any], options: RunOptions, tell: Tell) -> RunResult:
    """Ask for a run on the project that the flags name, and see it to its end.

    A run that was stopped is gone on with where neither labels nor options are others by now. Raises
    ProjectError where there is no such project, OutputRefused, and what ended the run.
    """
    from studio.cli.here import follow
    from studio.cli.studies import project_named
    from studio.collect.store import PictureStore
    from studio.data import open_database
    from studio.retrain.runs import project_runs

    run_dir: Path | None = given["run_dir"]
    if run_dir is not None and (run_dir / CARD).exists():
        raise OutputRefused(
            _("{path} holds a finished run already. Choose another folder.").format(path=run_dir)
        )
    database = open_database(settings())
    project = project_named(database, given["project"])
    store = PictureStore(settings().pictures_dir)
    run_id, job_id = _asked(database, store, project.id, options, given["name"] or "")
    result = follow(database, job_id)
    tell(refusal["reason"] for refusal in result.get("refused", ()))
    tell(result.get("warnings", ()))
    with database.read() as session:
        folder = settings().runs_dir / project_runs.run(session, run_id).folder
    if run_dir is not None:
        shutil.copytree(folder, run_dir, dirs_exist_ok=True)
        folder = run_dir
    return read_run(folder)


def _asked(
    database: "Database", store: "PictureStore", project_id: int, options: RunOptions, name: str
) -> tuple[int, int]:
    """Return a run and its job: of one that was cut off in just these words, or of a new one."""
    from studio.jobs import queue, requests
    from studio.retrain.runs import project_runs, project_snapshots

    now = datetime.now(UTC)
    with database.write() as session:
        queue.take_back_lost(session, now)
        cut_off = [
            run
            for run in project_runs.runs(session, project_id)
            if (run.options, run.name) == (options, name)
            and run.job_id is not None
            and run.job_state in ("stopped", "failed")
        ]
        if cut_off:
            snapshot = project_snapshots.snapshot_of(session, project_id, options, store)
            snapshot_id = project_snapshots.freeze(session, project_id, snapshot, now)
            for run in cut_off:
                if run.snapshot_id == snapshot_id and run.job_id is not None:
                    queue.resume(session, run.job_id)
                    return run.id, run.job_id
    run_id = requests.retrain(database, store, project_id, options, now, name=name)
    with database.read() as session:
        job_id = project_runs.run(session, run_id).job_id
    assert job_id is not None  # noqa: S101 - given in the same transaction as the run
    return run_id, job_id
