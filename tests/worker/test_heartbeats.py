"""Heartbeats while the database is unavailable: one that cannot be written is followed by the next."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from db import engine
from db.engine import Database
from db.migrate import migrate
from studio.cli import run_job
from studio.jobs import queue
from studio.settings import Settings
from studio.worker import worker

TOKEN = "t"
BUSY_S = 0.1


@pytest.fixture
def database(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", BUSY_S)
    monkeypatch.setattr(run_job, "_HEARTBEAT_S", 0.05)
    monkeypatch.setattr(worker, "_HEARTBEAT_S", 0.05)
    monkeypatch.setattr(worker, "_POLL_S", 0.05)
    made = Database(f"sqlite:///{(home / 'studio.sqlite3').as_posix()}")
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def job_id(database: Database) -> int:
    with database.write() as session:
        job_id = queue.enqueue(session, "search", {}, None, datetime.now(UTC))
        assert queue.claim_one(session, job_id, TOKEN, datetime.now(UTC)) is not None
    return job_id


@contextmanager
def writing_for_long(database: Database) -> Iterator[None]:
    """Hold the write lock, for longer than anything here waits."""
    assert database.url.database is not None
    with closing(sqlite3.connect(database.url.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(5 * BUSY_S)
        yield
        other.execute("ROLLBACK")


def wait_for_heartbeat(database: Database, job_id: int) -> None:
    """Wait until another heartbeat of the job is recorded."""
    with closing(sqlite3.connect(str(database.url.database))) as looking:
        read: Callable[[], str] = lambda: looking.execute(  # noqa: E731
            "SELECT heartbeat_at FROM jobs WHERE id = ?", (job_id,)
        ).fetchone()[0]
        before, until = read(), time.monotonic() + 60
        while read() == before:
            assert time.monotonic() < until, "no heartbeat came"
            time.sleep(0.01)


def test_a_job_of_the_command_line_is_wait_for_heartbeat(database: Database, job_id: int) -> None:
    ended = threading.Event()
    heartbeats = threading.Thread(target=run_job._send_heartbeats, args=(database, job_id, TOKEN, ended))
    heartbeats.start()
    try:
        with writing_for_long(database):
            pass
        wait_for_heartbeat(database, job_id)
    finally:
        ended.set()
        heartbeats.join()


def test_heartbeats_of_the_worker_resume_and_a_dead_child_is_noticed(
    database: Database, job_id: int, home: Path
) -> None:
    slot = worker.Slot(database, Settings(home=home), {"search"}, warm=False)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True)
    watching = threading.Thread(target=slot._watch, args=(child, job_id, TOKEN))
    watching.start()
    try:
        with writing_for_long(database):
            assert watching.is_alive()
        wait_for_heartbeat(database, job_id)
        with writing_for_long(database):
            child.kill()
            child.wait()
            time.sleep(5 * BUSY_S)
            assert watching.is_alive()  # the job is not given back yet
        watching.join(60)
        with database.read() as session:
            job = queue.find(session, job_id)
        assert job is not None
        assert job.state == "queued"
    finally:
        child.kill()
        child.communicate()
        watching.join(60)


def test_silence_is_longer_than_a_worker_may_wait_for_the_database() -> None:
    assert queue.SILENCE.total_seconds() > engine.BUSY_TIMEOUT_S + worker._HEARTBEAT_S
