"""Running one job: its task, its progress, and how it ended."""

import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy.exc import OperationalError

from db.engine import Database
from studio.curate.tasks import request_follow_up_analysis
from studio.errors import Stopped, StudioError
from studio.i18n import _
from studio.jobs import queue
from studio.jobs.context import JobContext
from studio.progress import Progress
from studio.settings import Settings
from studio.worker.registry import TASKS

_WRITE_EVERY_S = 0.25


class JobProgress:
    """A `Progress` that writes to the job's row and raises Stopped when a stop is requested.

    on_lost: called when another worker has the job.
    """

    def __init__(self, database: Database, job_id: int, token: str, *, on_lost: Callable[[], object]) -> None:
        self._database, self._job_id, self._token = database, job_id, token
        self._on_lost = on_lost
        self._phase = ""
        self._written_at = 0.0

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Record the progress, at most every 0.25 s in a phase. Raises Stopped."""
        due = time.monotonic() - self._written_at >= _WRITE_EVERY_S
        if not due and phase == self._phase and done != total:
            return
        try:
            with self._database.write() as session:
                job = queue.progress(
                    session, self._job_id, self._token, datetime.now(UTC), phase, done, total
                )
        except OperationalError:  # the database is busy: the next report writes it
            return
        finally:
            self._phase, self._written_at = phase, time.monotonic()
        if job is None:
            self._on_lost()
        elif job.stop_requested:
            raise Stopped(_("Stopped. What was finished is kept."))


def perform(
    database: Database, settings: Settings, job_id: int, token: str, progress: Progress
) -> BaseException | None:
    """Run a job that was claimed with `token`, record how it ended, and return its error, if any."""
    with database.read() as session:
        job = queue.find(session, job_id)
    if job is None:
        return None
    outcome: queue.State = "done"
    result = error = details = None
    ended_by: BaseException | None = None
    try:
        result = TASKS[job.kind].run(JobContext(database, settings, job, progress))
    except (Stopped, KeyboardInterrupt) as fault:
        outcome, ended_by = "stopped", fault
    except StudioError as fault:
        outcome, error, ended_by = "failed", " ".join(str(fault).split()), fault
    except Exception as fault:
        outcome, details, ended_by = "failed", traceback.format_exc(), fault
        error = _("Something unexpected happened ({kind}: {error}).").format(
            kind=type(fault).__name__, error=" ".join(str(fault).split())
        )
    with database.write() as session:
        queue.end(
            session, job_id, token, datetime.now(UTC), outcome, result=result, error=error, details=details
        )
    request_follow_up_analysis(database, job, outcome, datetime.now(UTC))
    return ended_by
