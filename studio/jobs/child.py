"""The process in which jobs run: `python -m studio.jobs.child`, started by the worker and kept warm.

It reads one line a job, `<job id> <token>`, from standard input, and writes all that comes of it to the
database. When standard input ends, the worker is gone and so is the child: no orphan works on.
"""

import os
import queue as queues
import sys
import threading
import time
import traceback
from datetime import UTC, datetime

from db.engine import Database
from studio.data import open_database
from studio.errors import Stopped, StudioError
from studio.jobs import queue
from studio.jobs.kinds import KINDS, Work
from studio.language import _
from studio.settings import settings

_WRITE_EVERY_S = 0.25


class JobProgress:
    """A `Progress` that writes to the job's row, a few times a second, and hears Stop there."""

    def __init__(self, database: Database, job_id: int, token: str) -> None:
        self._database, self._job_id, self._token = database, job_id, token
        self._phase = ""
        self._written_at = 0.0

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Write progress where it is due. Raises Stopped when a person asked for an end."""
        due = time.monotonic() - self._written_at >= _WRITE_EVERY_S
        if not due and phase == self._phase and done != total:
            return
        with self._database.write() as session:
            job = queue.progress(session, self._job_id, self._token, datetime.now(UTC), phase, done, total)
        if job is None:
            os._exit(3)  # the job was given to another: whatever we would still write is not ours to write
        if job.stop_asked:
            raise Stopped(_("Stopped. What was finished is kept."))
        self._phase, self._written_at = phase, time.monotonic()


def run(database: Database, job_id: int, token: str) -> None:
    """Do one job and write how it ended."""
    with database.read() as session:
        job = queue.find(session, job_id)
    if job is None:
        return
    outcome: queue.State = "done"
    result = error = details = None
    try:
        work = Work(database, settings(), job, JobProgress(database, job_id, token))
        result = KINDS[job.kind](work)
    except Stopped:
        outcome = "stopped"
    except StudioError as fault:
        outcome, error = "failed", " ".join(str(fault).split())
    except Exception as fault:
        outcome, details = "failed", traceback.format_exc()
        error = _("Something unexpected happened ({kind}: {error}).").format(
            kind=type(fault).__name__, error=" ".join(str(fault).split())
        )
    with database.write() as session:
        queue.end(
            session, job_id, token, datetime.now(UTC), outcome, result=result, error=error, details=details
        )


def main() -> None:
    """Warm up, and do the jobs that standard input names until it ends."""
    lines: queues.SimpleQueue[str] = queues.SimpleQueue()
    threading.Thread(target=_read_lines, args=(lines,), daemon=True).start()
    # In a thread of its own, so that a job which needs no TensorFlow does not wait for it.
    threading.Thread(target=_warm, daemon=True).start()
    database = open_database(settings())
    while line := lines.get():
        job_id, token = line.split()
        run(database, int(job_id), token)


def _read_lines(lines: queues.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _warm() -> None:
    from studio.retrain.warmth import warm

    warm(settings().backbones_dir)


if __name__ == "__main__":
    main()
