"""Asking for long work: each function is one transaction that leaves a job in the queue."""

from datetime import datetime
from pathlib import Path

from db import models
from db.engine import Database
from studio.collect.projects import create_project
from studio.collect.store import PictureStore
from studio.errors import StudioError
from studio.jobs import queue
from studio.language import _
from studio.retrain import project_runs
from studio.retrain.options import RunOptions


class AlreadyAtWork(StudioError):
    """The project's retraining is under way; two at once would only slow each other down."""


def ingest_path(database: Database, project_id: int, path: Path, now: datetime) -> int:
    """Ask for a folder, an archive or a picture on this machine to be brought in; returns the job's id."""
    with database.write() as session:
        return queue.enqueue(session, "ingest_path", {"path": str(path)}, project_id, now)


def ingest_uploads(
    database: Database, project_id: int, folder: str, class_name: str | None, now: datetime
) -> int:
    """Ask for the files in a folder under the uploads to be brought in; returns the job's id."""
    arguments = {"folder": folder, "class_name": class_name}
    with database.write() as session:
        return queue.enqueue(session, "ingest_uploads", arguments, project_id, now)


def begin_with(database: Database, kind: str, name: str, now: datetime) -> str:
    """Make a project filled by `kind` (ingest_drawings, ingest_codelab); returns the project's name.

    The name gets a number behind it where it is taken.
    """
    with database.write() as session:
        taken = {row.name for row in session.query(models.Project)}
        names = (name if at == 1 else f"{name} {at}" for at in range(1, len(taken) + 2))
        project = create_project(session, next(free for free in names if free not in taken), now)
        arguments = {"seed": project.id} if kind == "ingest_drawings" else {}
        queue.enqueue(session, kind, arguments, project.id, now)
    return project.name


def retrain(
    database: Database, store: PictureStore, project_id: int, options: RunOptions, now: datetime
) -> int:
    """Freeze the project's labels as they are and ask for a run on them; returns the run's id.

    Raises TooLittleToLearnFrom where there are fewer than two classes, and AlreadyAtWork while another
    retraining of this project waits or runs.
    """
    with database.write() as session:
        if queue.latest(session, project_id, {"retrain"}, live_only=True) is not None:
            raise AlreadyAtWork(_("This project is being retrained already. Wait for it, or stop it first."))
        snapshot = project_runs.snapshot_of(session, project_id, options, store)
        snapshot.check()
        snapshot_id = project_runs.freeze(session, project_id, snapshot, now)
        run_id = project_runs.create_run(session, project_id, snapshot_id, options, now)
        job_id = queue.enqueue(session, "retrain", {"run_id": run_id}, project_id, now)
        project_runs.give_job(session, run_id, job_id)
    return run_id
