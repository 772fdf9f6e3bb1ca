"""Running a job in the process of the command line, with its progress on the terminal."""

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

_HEARTBEAT_S = 1.0
_POLL_S = 0.5


def run_here(kind: str, arguments: Mapping[str, Any], project_name: str) -> dict[str, Any]:
    """Run a job of a project (made if missing) in this process, and return its result.

    The job is in the `jobs` table like any other: the pages show it and can stop it, and an interrupted one
    continues when it is started again with the same arguments. Raises the error that ended it, and JobFailed
    if the same job runs elsewhere.
    """
    from studio.data import open_database

    database = open_database(settings())
    job, token = _claim(database, kind, arguments, project_name)
    return _perform_here(database, job, token)


def follow(database: Database, job_id: int) -> dict[str, Any]:
    """Run a queued job here, or follow it until it ends elsewhere, and return its result.

    Raises the error that ended it; an interruption here stops it wherever it runs.
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
                raise JobFailed(_("The job is no longer in the queue. Start it again."))
            if mine is not None or not job.live:
                break
            terminal.report(job.phase or _("Waiting"), job.done, job.total)
            try:
                time.sleep(_POLL_S)
            except KeyboardInterrupt:
                with database.write() as session:
                    queue.request_stop(session, job_id, datetime.now(UTC))
                raise
    if mine is not None:
        return _perform_here(database, mine, token)
    if job.state == "done":
        return dict(job.result or {})
    if job.state == "stopped":
        raise Stopped(_("Stopped. What was finished is kept."))
    raise JobFailed(job.error or _("The job failed for an unknown reason. Start it again."))


def _perform_here(database: Database, job: queue.Job, token: str) -> dict[str, Any]:
    from studio.cli.terminal import terminal_progress

    ended = threading.Event()
    heartbeats = threading.Thread(target=_send_heartbeats, args=(database, job.id, token, ended), daemon=True)
    heartbeats.start()
    try:
        with terminal_progress() as terminal:
            both = _Both(JobProgress(database, job.id, token, on_lost=_lost), terminal)
            ended_by = perform(database, settings(), job.id, token, both)
    finally:
        ended.set()
        heartbeats.join()
    if ended_by is not None:
        raise ended_by
    with database.read() as session:
        done = queue.find(session, job.id)
    return dict(done.result or {}) if done is not None else {}


def _claim(
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
                _("The same job is running already. Follow it in the studio, or stop it there and try again.")
            )
        if earlier is not None:
            queue.resume(session, earlier.id)
        job_id = queue.enqueue(session, kind, arguments, project.id, now) if earlier is None else earlier.id
        job = queue.claim_one(session, job_id, token, now)
        assert job is not None  # noqa: S101 - queued in this very transaction
    return job, token


def _send_heartbeats(database: Database, job_id: int, token: str, ended: threading.Event) -> None:
    while not ended.wait(_HEARTBEAT_S):
        # One that cannot be written while others write is followed by the next.
        with suppress(OperationalError), database.write() as session:
            queue.heartbeat(session, job_id, token, datetime.now(UTC))


def _lost() -> None:
    raise JobFailed(_("Another process has taken over this job: this one sent no heartbeat for too long."))


class _Both:
    """A `Progress` that reports to two others."""

    def __init__(self, first: Progress, second: Progress) -> None:
        self._targets = (first, second)

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Report to both."""
        for progress in self._targets:
            progress.report(phase, done, total)
