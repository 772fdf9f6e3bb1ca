"""The worker process, `python -m studio.worker.worker`: runs the jobs of the queue in child processes.

Nothing runs inside the web server, and no `fork` is needed. The worker ends when its standard input closes,
which happens when the process that started it is gone.

If the database is unavailable for a moment (another program writes for long, a server restarts), a poll is
skipped and the next one catches up.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy.exc import OperationalError

from db.engine import Database
from studio.data import open_database
from studio.jobs import queue
from studio.jobs.context import Pool
from studio.process import start_module
from studio.settings import Settings, settings
from studio.worker.registry import kinds_of

_log = logging.getLogger(__name__)
_POLL_S = 0.2
_HEARTBEAT_S = 1.0
_GRACE_S = 1.2
"""How long a child may take to stop by itself before it is killed."""
_JOBS_PER_CHILD = 50
"""A child is replaced after this many jobs, so that memory leaks of libraries do not add up."""


class Slot:
    """Runs jobs of some kinds, one at a time, in a child process.

    warm: whether the child imports TensorFlow at once, so that training begins without delay.
    """

    def __init__(self, database: Database, settings: Settings, kinds: set[str], *, warm: bool) -> None:
        self._database, self._settings = database, settings
        self._kinds, self._warm = kinds, warm
        self._child: subprocess.Popen[str] | None = None
        self._jobs_done = 0

    def serve(self) -> None:
        """Claim and run jobs for ever."""
        while True:
            child = self._ready_child() if self._warm else None
            job, token = self._claim()
            if job is None:
                time.sleep(_POLL_S)
                continue
            child = child or self._ready_child()
            try:
                assert child.stdin is not None  # noqa: S101 - started with a pipe
                child.stdin.write(f"{job.id} {token}\n")
                child.stdin.flush()
            except OSError:
                pass  # it died while idle: `_watch` sees that and requeues the job
            self._watch(child, job.id, token)

    def _ready_child(self) -> subprocess.Popen[str]:
        child = self._child
        if child is not None and child.poll() is None and self._jobs_done < _JOBS_PER_CHILD:
            return child
        if child is not None and child.poll() is None:
            _kill(child)
        self._jobs_done = 0
        self._child = child = start_module("studio.worker.child", self._settings)
        if self._warm and child.stdin is not None:
            child.stdin.write("warm\n")
            child.stdin.flush()
        return child

    def _claim(self) -> tuple[queue.Job | None, str]:
        token = uuid4().hex
        with _database_may_be_away():
            with self._database.read() as session:
                if not queue.has_queued(session, self._kinds):
                    return None, token
            with self._database.write() as session:
                return queue.claim(session, token, datetime.now(UTC), self._kinds), token
        return None, token

    def _watch(self, child: subprocess.Popen[str], job_id: int, token: str) -> None:
        """Send heartbeats until the job has ended."""
        stop_seen_at: float | None = None
        heartbeat_sent_at = 0.0
        while True:
            time.sleep(_POLL_S)
            with _database_may_be_away():
                job = self._job(job_id)
                if job is None or job.state != "running":
                    self._jobs_done += 1
                    return
                if child.poll() is not None:
                    with self._database.write() as session:
                        queue.release(session, job_id, token, datetime.now(UTC))
                    return
                if job.stop_requested:
                    stop_seen_at = stop_seen_at or time.monotonic()
                    if time.monotonic() - stop_seen_at > _GRACE_S:
                        # Every write is atomic, so that the child may be killed at any point.
                        _kill(child)
                        continue
                if time.monotonic() - heartbeat_sent_at >= _HEARTBEAT_S:
                    heartbeat_sent_at = time.monotonic()
                    with self._database.write() as session:
                        held = queue.heartbeat(session, job_id, token, datetime.now(UTC))
                    if held is None:
                        job = self._job(job_id)
                        if job is not None and job.live:
                            _kill(child)  # another worker has the job now: two must not run it
                        return

    def _job(self, job_id: int) -> queue.Job | None:
        with self._database.read() as session:
            return queue.find(session, job_id)


def main() -> None:
    """Run the slots of all pools, and requeue the jobs of workers that are gone."""
    found = settings()
    database = open_database(found)
    compute = kinds_of("compute")
    slots = [Slot(database, found, compute, warm=found.warm) for _number in range(found.workers)]
    # The other pools have slots of their own: no training waits for them, and they wait for none.
    pools: tuple[Pool, ...] = ("network", "analysis", "files")
    slots += [Slot(database, found, kinds_of(pool), warm=False) for pool in pools]
    for slot in slots:
        threading.Thread(target=_serve, args=(slot,), daemon=True).start()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        with _database_may_be_away():
            with database.read() as session:
                running = queue.count_live(session)
            if running:
                with database.write() as session:
                    queue.requeue_lost(session, datetime.now(UTC))
        time.sleep(1.0)


@contextmanager
def _database_may_be_away() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        _log.warning("The database is unavailable at the moment: %s", error.orig)


def _serve(slot: Slot) -> None:
    try:
        slot.serve()
    except BaseException:
        # A slot that ended would take no more jobs, and nobody would notice.
        _log.exception("The worker ends; the supervisor starts another.")
        os._exit(1)


def _end_with_parent() -> None:
    sys.stdin.read()
    # The children end too: this process holds the other end of their standard input.
    os._exit(0)


def _kill(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait()


if __name__ == "__main__":
    main()
