"""The worker: `python -m studio.worker.worker` takes jobs from the queue and watches a child do each.

It starts no thread inside the web server and needs no `fork`. It ends when its standard input does, which
is when whoever started it is gone.

Where the database cannot be had (another program writes for very long, a server is away for a moment), a look
at it is left out, and the next one does what that would have done.
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
_LOOK_EVERY_S = 0.2
_BEAT_EVERY_S = 1.0
_GRACE_S = 1.2
"""How long a child that was asked to stop may take to do so by itself."""
_JOBS_A_CHILD = 50
"""A child is renewed after so many jobs, so that no library's leak grows for ever."""


class Slot:
    """One place for a running job of some kinds, with the child that waits for it or works on it.

    warm: whether the child imports at once what training needs.
    """

    def __init__(self, database: Database, settings: Settings, kinds: set[str], *, warm: bool) -> None:
        self._database, self._settings = database, settings
        self._kinds, self._warm = kinds, warm
        self._child: subprocess.Popen[str] | None = None
        self._jobs_done = 0

    def serve(self) -> None:
        """Take jobs and see them through, for ever."""
        while True:
            child = self._ready_child() if self._warm else None
            job, token = self._claim()
            if job is None:
                time.sleep(_LOOK_EVERY_S)
                continue
            child = child or self._ready_child()
            try:
                assert child.stdin is not None  # noqa: S101 - started with a pipe
                child.stdin.write(f"{job.id} {token}\n")
                child.stdin.flush()
            except OSError:
                pass  # it died while it waited: the watch sees that and gives the job back
            self._watch(child, job.id, token)

    def _ready_child(self) -> subprocess.Popen[str]:
        child = self._child
        if child is not None and child.poll() is None and self._jobs_done < _JOBS_A_CHILD:
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
        with _looking():
            with self._database.read() as session:
                if not queue.has_queued(session, self._kinds):
                    return None, token
            with self._database.write() as session:
                return queue.claim(session, token, datetime.now(UTC), self._kinds), token
        return None, token

    def _watch(self, child: subprocess.Popen[str], job_id: int, token: str) -> None:
        """Keep the job's heart beating until it has ended, in whatever way."""
        asked_at: float | None = None
        beaten_at = 0.0
        while True:
            time.sleep(_LOOK_EVERY_S)
            with _looking():
                job = self._found(job_id)
                if job is None or job.state != "running":
                    self._jobs_done += 1
                    return
                if child.poll() is not None:
                    with self._database.write() as session:
                        queue.release(session, job_id, token, datetime.now(UTC))
                    return
                if job.stop_asked:
                    asked_at = asked_at or time.monotonic()
                    if time.monotonic() - asked_at > _GRACE_S:
                        # Everything is written whole or not at all, so that it may be cut off anywhere.
                        _kill(child)
                        continue
                if time.monotonic() - beaten_at >= _BEAT_EVERY_S:
                    beaten_at = time.monotonic()
                    with self._database.write() as session:
                        held = queue.heartbeat(session, job_id, token, datetime.now(UTC))
                    if held is None:
                        job = self._found(job_id)
                        if job is not None and job.live:
                            _kill(child)  # another has the job now: two must not work on it
                        return

    def _found(self, job_id: int) -> queue.Job | None:
        with self._database.read() as session:
            return queue.find(session, job_id)


def main() -> None:
    """Run as many slots as the settings say, and give back the jobs of workers that fell silent."""
    found = settings()
    database = open_database(found)
    compute = kinds_of("compute")
    slots = [Slot(database, found, compute, warm=found.warm) for _number in range(found.workers)]
    # What waits for others' servers, what nobody asked for and what is soon done have places of their own: no
    # training waits for them, and they wait for none.
    pools: tuple[Pool, ...] = ("network", "analysis", "files")
    slots += [Slot(database, found, kinds_of(pool), warm=False) for pool in pools]
    for slot in slots:
        threading.Thread(target=_serve, args=(slot,), daemon=True).start()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        with _looking():
            with database.read() as session:
                running = queue.count_live(session)
            if running:
                with database.write() as session:
                    queue.requeue_lost(session, datetime.now(UTC))
        time.sleep(1.0)


@contextmanager
def _looking() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        _log.warning("The database cannot be had at the moment: %s", error.orig)


def _serve(slot: Slot) -> None:
    try:
        slot.serve()
    except BaseException:
        # A slot that fell would take no job any more, and nobody would see it.
        _log.exception("A worker ends, and another is to be started.")
        os._exit(1)


def _end_with_parent() -> None:
    sys.stdin.read()
    # The children end too: their standard input is a pipe that this process holds.
    os._exit(0)


def _kill(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait()


if __name__ == "__main__":
    main()
