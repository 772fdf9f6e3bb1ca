"""Doing a job in this very process, for the command line: what the worker does, on a terminal."""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy.exc import OperationalError

from db.engine import Database
from studio.errors import JobFailed, Stopped
from studio.i18n import _
from studio.jobs import queue
from studio.progress import Progress
from studio.settings import settings
from studio.worker.perform import JobProgress, perform

_BEAT_EVERY_S = 1.0
_LOOK_EVERY_S = 0.5


def run_here(kind: str, arguments: Mapping[str, Any], project_name: str) -> dict[str, Any]:
    """Do a job of a project (made where missing) to its end, and return its result.

    The job stands in the `jobs` table like any other: a page of the same data folder shows it and can stop
    it, and one that was cut off goes on when the same is asked for again, here or there. Raises what ended
    it, and JobFailed when just this is under way elsewhere.
    """
    from studio.data import open_database

    database = open_database(settings())
    job, token = _claimed(database, kind, arguments, project_name)
    return _done_here(database, job, token)


def follow(database: Database, job_id: int) -> dict[str, Any]:
    """Do a job that waits, or watch whoever has taken it, to its end, and return its result.

    Raises what ended it; an interruption here stops it wherever it is done.
    """
    from studio.cli.terminal import terminal_progress

    token = uuid4().hex
    with terminal_progress() as terminal:
        while True:
            now = datetime.now(UTC)
            with database.write() as session:
                queue.requeue_lost(session, now)
                mine = queue.claim_one(session, job_id, token, now)
                job = queue.find(session, job_id)
            if job is None:
                raise JobFailed(_("The work is not in the queue any more. Ask for it again."))
            if mine is not None or not job.live:
                break
            terminal.report(job.phase or _("Waiting"), job.done, job.total)
            try:
                time.sleep(_LOOK_EVERY_S)
            except KeyboardInterrupt:
                with database.write() as session:
                    queue.request_stop(session, job_id, datetime.now(UTC))
                raise
    if mine is not None:
        return _done_here(database, mine, token)
    if job.state == "done":
        return dict(job.result or {})
    if job.state == "stopped":
        raise Stopped(_("Stopped. What was finished is kept."))
    raise JobFailed(job.error or _("The work failed, and nobody said why. Ask for it again."))


def _done_here(database: Database, job: queue.Job, token: str) -> dict[str, Any]:
    from studio.cli.terminal import terminal_progress

    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(database, job.id, token, ended), daemon=True)
    beating.start()
    try:
        with terminal_progress() as terminal:
            told = _Both(JobProgress(database, job.id, token, on_lost=_lost), terminal)
            ended_by = perform(database, settings(), job.id, token, told)
    finally:
        ended.set()
        beating.join()
    if ended_by is not None:
        raise ended_by
    with database.read() as session:
        done = queue.find(session, job.id)
    return dict(done.result or {}) if done is not None else {}


def _claimed(
    database: Database, kind: str, arguments: Mapping[str, Any], project_name: str
) -> tuple[queue.Job, str]:
    from studio.datasets.projects import create_project, find_project

    token, now = uuid4().hex, datetime.now(UTC)
    with database.write() as session:
        queue.requeue_lost(session, now)
        project = find_project(session, project_name) or create_project(session, project_name, now)
        earlier = queue.unfinished(session, project.id, kind, arguments)
        if earlier is not None and earlier.state == "running":
            raise JobFailed(
                _("Just this is under way already. Watch it in the studio, or stop it there and ask again.")
            )
        if earlier is not None:
            queue.resume(session, earlier.id)
        job_id = queue.enqueue(session, kind, arguments, project.id, now) if earlier is None else earlier.id
        job = queue.claim_one(session, job_id, token, now)
        assert job is not None  # noqa: S101 - queued in this very transaction
    return job, token


def _beat(database: Database, job_id: int, token: str, ended: threading.Event) -> None:
    while not ended.wait(_BEAT_EVERY_S):
        # Where others write for very long, the next one is heard.
        with suppress(OperationalError), database.write() as session:
            queue.heartbeat(session, job_id, token, datetime.now(UTC))


def _lost() -> None:
    raise JobFailed(_("Another process goes on with this work: this one was silent for too long."))


class _Both:
    """Two who are told the same."""

    def __init__(self, first: Progress, second: Progress) -> None:
        self._told = (first, second)

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Tell both."""
        for progress in self._told:
            progress.report(phase, done, total)
