"""Asking for long work: each function is one transaction that leaves a job in the queue."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from db.engine import Database
from studio.collect.address_lists import parse_addresses
from studio.collect.names import class_name_of
from studio.collect.projects import create_project
from studio.collect.store import PictureStore
from studio.collect.web import listed
from studio.collect.web.plan import Plan
from studio.collect.web.query import checked_phrases
from studio.errors import ProjectError, SourceMissing, StudioError
from studio.jobs import queue
from studio.language import _
from studio.retrain.options import RunOptions
from studio.retrain.runs import project_runs, project_snapshots
from studio.retrain.runs.repetition import options_to_repeat


class AlreadyAtWork(StudioError):
    """The project's retraining is under way; two at once would only slow each other down."""


def ingest_path(
    database: Database, project_id: int, path: Path, class_name: str | None, now: datetime
) -> int:
    """Ask for a folder, an archive or a picture on this machine to be brought in; returns the job's id.

    `class_name` is for what stands in no class folder.
    """
    arguments = {"path": str(path), "class_name": class_name}
    with database.write() as session:
        return queue.enqueue(session, "ingest_path", arguments, project_id, now)


def ingest_uploads(
    database: Database,
    project_id: int,
    folder: str,
    class_name: str | None,
    now: datetime,
    kind: str = "upload",
) -> int:
    """Ask for the files in a folder under the uploads to be brought in; returns the job's id.

    kind: upload or camera. Asked again for the same folder, the job is the same. Raises ProjectError when the
    project is not there.
    """
    arguments = {"folder": folder, "class_name": class_name_of(class_name or ""), "kind": kind}
    with database.write() as session:
        # The lock makes two that ask at once take turns, on databases that would not anyway.
        if session.get(models.Project, project_id, with_for_update=True) is None:
            raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
        asked = _uploads_job(session, folder)
        return asked or queue.enqueue(session, "ingest_uploads", arguments, project_id, now)


def uploads_job(database: Database, folder: str) -> int | None:
    """Return the job that was asked to bring a folder of uploads in."""
    with database.read() as session:
        return _uploads_job(session, folder)


def _uploads_job(session: Session, folder: str) -> int | None:
    job = models.Job
    return session.scalar(
        select(job.id).where(job.kind == "ingest_uploads", job.arguments["folder"].as_string() == folder)
    )


def crawl(database: Database, project_id: int, plan: Plan, now: datetime) -> int:
    """Ask for a crawl; returns the job's id. Raises what `Plan.checked` raises."""
    arguments = plan.checked().arguments()
    with database.write() as session:
        return queue.enqueue(session, "ingest_crawl", arguments, project_id, now)


def fetch_list(
    database: Database,
    project_id: int,
    data: bytes,
    class_name: str | None,
    min_side_px: int,
    now: datetime,
) -> int:
    """Ask for the pictures of a list of addresses; returns the job's id.

    Raises SourceMissing when there is no address in it.
    """
    found = parse_addresses(data)
    if not found.entries:
        why = found.refused[0].reason if found.refused else _("it is empty")
        raise SourceMissing(
            _("expected a list with at least one address of a picture: {why}.").format(why=why.rstrip("."))
        )
    with database.write() as session:
        job_id = queue.enqueue(session, "ingest_web", {"min_side_px": min_side_px}, project_id, now)
        listed.add(session, project_id, job_id, found, class_name_of(class_name or ""), at=now)
    return job_id


def search(
    database: Database,
    project_id: int,
    service: str,
    phrases: Sequence[str],
    *,
    count: int,
    licences: Sequence[str],
    min_side_px: int,
    now: datetime,
) -> int:
    """Ask for a search; returns the job's id. Raises SearchFailed for words that cannot be searched for."""
    arguments = {
        "service": service,
        "phrases": list(checked_phrases(service, phrases, licences)),
        "count": count,
        "licences": list(licences),
        "min_side_px": min_side_px,
    }
    with database.write() as session:
        return queue.enqueue(session, "search", arguments, project_id, now)


def fetch_hits(
    database: Database,
    project_id: int,
    search_id: int,
    hit_ids: Sequence[int],
    class_name: str | None,
    now: datetime,
) -> int:
    """Ask for the pictures that a person picked among what a search found; returns the job's id."""
    arguments = fetching_hits(search_id, hit_ids, class_name, 0)
    with database.write() as session:
        return queue.enqueue(session, "ingest_web", arguments, project_id, now)


def fetching_hits(
    search_id: int, hit_ids: Sequence[int], class_name: str | None, min_side_px: int
) -> dict[str, Any]:
    """Return the arguments of the job that fetches hits of a search."""
    return {
        "hits_of": search_id,
        "hit_ids": list(hit_ids),
        "class_name": class_name,
        "min_side_px": min_side_px,
    }


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
    database: Database,
    store: PictureStore,
    project_id: int,
    options: RunOptions,
    now: datetime,
    *,
    name: str = "",
) -> int:
    """Freeze the project's labels as they are and ask for a run on them; returns the run's id.

    Raises TooLittleToLearnFrom where there are fewer than two classes, and AlreadyAtWork while another
    retraining of this project waits or runs.
    """
    with database.write() as session:
        _refuse_two_at_once(session, project_id)
        snapshot_id = _frozen(session, store, project_id, options, now)
        run_id = project_runs.create_run(session, project_id, snapshot_id, options, now, name=name)
        _enqueue_runs(session, project_id, {"run_id": run_id}, (run_id,), now)
    return run_id


def sweep(
    database: Database,
    store: PictureStore,
    project_id: int,
    several: Sequence[RunOptions],
    now: datetime,
    *,
    name: str = "",
) -> tuple[int, ...]:
    """Ask for a run with each of `several` options, on the labels as they are, as one job; returns their ids.

    They are done in turn; one that fails does not keep the others from it. A name is numbered. Raises what
    `retrain` does.
    """
    if not several:
        raise ValueError("expected options of one run or more; got none")
    with database.write() as session:
        _refuse_two_at_once(session, project_id)
        frozen: dict[tuple[float, float, int], int] = {}
        run_ids = []
        for number, options in enumerate(several, 1):
            # What deals pictures out; all else the runs may have each for itself.
            dealt = options.validation_percentage, options.testing_percentage, options.seed
            if dealt not in frozen:
                frozen[dealt] = _frozen(session, store, project_id, options, now)
            said = f"{name} {number}" if name else ""
            run_ids.append(
                project_runs.create_run(session, project_id, frozen[dealt], options, now, name=said)
            )
        _enqueue_runs(session, project_id, {"run_ids": run_ids}, run_ids, now)
    return tuple(run_ids)


def rerun(database: Database, run_id: int, now: datetime) -> int:
    """Ask for a run to be done again, with the same pictures, labels, splits and options; returns the new id.

    A run that chose its options within so many minutes is done again with what it chose. Raises ProjectError
    where there is no such run, and AlreadyAtWork as `retrain` does.
    """
    with database.write() as session:
        again = project_runs.run(session, run_id)
        _refuse_two_at_once(session, again.project_id)
        new_id = project_runs.create_run(
            session,
            again.project_id,
            again.snapshot_id,
            options_to_repeat(again.options, again.facts),
            now,
            name=again.name,
            rerun_of=run_id,
        )
        _enqueue_runs(session, again.project_id, {"run_id": new_id}, (new_id,), now)
    return new_id


def measure_backbones(database: Database, project_id: int, now: datetime) -> int:
    """Ask for the backbones that need no download to be measured on this machine; returns the job's id.

    project_id: of the page that shows how far it is. Asked twice, it is one job.
    """
    with database.write() as session:
        under_way = queue.latest(session, project_id, {"measure_backbones"}, live_only=True)
        if under_way is not None:
            return under_way.id
        return queue.enqueue(session, "measure_backbones", {}, project_id, now)


def _refuse_two_at_once(session: Session, project_id: int) -> None:
    if queue.latest(session, project_id, {"retrain"}, live_only=True) is not None:
        raise AlreadyAtWork(_("This project is being retrained already. Wait for it, or stop it first."))


def _frozen(
    session: Session, store: PictureStore, project_id: int, options: RunOptions, now: datetime
) -> int:
    snapshot = project_snapshots.snapshot_of(session, project_id, options, store)
    snapshot.check()
    return project_snapshots.freeze(session, project_id, snapshot, now)


def _enqueue_runs(
    session: Session, project_id: int, arguments: dict[str, Any], run_ids: Sequence[int], now: datetime
) -> None:
    job_id = queue.enqueue(session, "retrain", arguments, project_id, now)
    for run_id in run_ids:
        project_runs.give_job(session, run_id, job_id)
