"""The queue: who gets a job, who may speak of it, what becomes of it when its worker is gone."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from db.engine import Database
from studio.jobs import queue
from tests.conftest import NOW

KINDS = {"test"}


def add(database: Database, kind: str = "test") -> int:
    with database.write() as session:
        return queue.enqueue(session, kind, {"a": 1}, None, NOW)


def state(database: Database, job_id: int) -> str:
    with database.read() as session:
        job = queue.find(session, job_id)
    assert job is not None
    return job.state


def test_each_job_goes_to_one_worker(database: Database) -> None:
    jobs = {add(database) for _number in range(40)}

    with database.write() as session:
        assert queue.claim(session, "of another trade", NOW, {"other"}) is None

    def take(number: int) -> int:
        with database.write() as session:
            job = queue.claim(session, f"worker {number}", NOW, KINDS)
        assert job is not None
        return job.id

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(40)))
    assert sorted(taken) == sorted(jobs)
    with database.write() as session:
        assert queue.claim(session, "late", NOW, KINDS) is None


def test_jobs_are_taken_in_order(database: Database) -> None:
    first, second = add(database), add(database)
    with database.write() as session:
        assert [queue.claim(session, "w", NOW, KINDS).id for _n in range(2)] == [first, second]  # type: ignore[union-attr]


def test_a_silent_workers_job_is_taken_up_again_and_the_old_worker_has_no_say(database: Database) -> None:
    job = add(database)
    with database.write() as session:
        queue.claim(session, "old", NOW, KINDS)
    soon, late = NOW + queue.SILENCE, NOW + queue.SILENCE + timedelta(seconds=1)
    with database.write() as session:
        assert queue.requeue_lost(session, soon) == 0
        assert queue.requeue_lost(session, late) == 1
    with database.write() as session:
        assert queue.claim(session, "new", late, KINDS).id == job  # type: ignore[union-attr]
    with database.write() as session:
        assert queue.heartbeat(session, job, "old", late) is None
        assert queue.progress(session, job, "old", late, "x", 1, 2) is None
        assert not queue.end(session, job, "old", late, "done")
    assert state(database, job) == "running"


def test_a_job_whose_child_keeps_dying_fails_with_a_reason_and_can_be_continued(database: Database) -> None:
    job = add(database)
    for attempt in range(queue.ATTEMPTS):
        assert state(database, job) == "queued"
        with database.write() as session:
            queue.claim(session, f"w{attempt}", NOW, KINDS)
        with database.write() as session:
            queue.release(session, job, f"w{attempt}", NOW)
    with database.read() as session:
        failed = queue.find(session, job)
    assert failed is not None
    assert failed.state == "failed"
    assert "unexpectedly 3 times" in (failed.error or "")
    with database.write() as session:
        queue.resume(session, job)
    assert state(database, job) == "queued"


def test_stop_ends_a_waiting_job_at_once_and_marks_a_running_one(database: Database) -> None:
    running, waiting = add(database), add(database)
    with database.write() as session:
        queue.claim(session, "w", NOW, KINDS)
    with database.write() as session:
        queue.request_stop(session, running, NOW)
        queue.request_stop(session, waiting, NOW)
    assert (state(database, running), state(database, waiting)) == ("running", "stopped")
    with database.write() as session:
        progressed = queue.progress(session, running, "w", NOW, "x", 1, 2)
        assert progressed is not None
        assert progressed.stop_requested
        # Its child is killed before it could say so: it counts as stopped, not as lost.
        queue.release(session, running, "w", NOW)
    assert state(database, running) == "stopped"


def test_time_left_counts_from_where_the_work_was_taken_up(database: Database) -> None:
    job_id = add(database)
    with database.write() as session:
        queue.claim(session, "w", NOW, KINDS)
        queue.progress(session, job_id, "w", NOW, "Training", 100, 200)
    with database.write() as session:
        job = queue.progress(session, job_id, "w", NOW + timedelta(seconds=10), "Training", 150, 200)
    assert job is not None
    assert job.fraction == 0.75
    assert job.seconds_left(NOW + timedelta(seconds=10)) == 10.0
