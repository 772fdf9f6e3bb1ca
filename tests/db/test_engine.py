"""The write lock: threads of one process get it in the order in which they asked, and none is stuck."""

import threading
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest

from db.engine import Database, FairLock, write_lock
from db.labelling import LabelOperation, latest_operation_number, record_operation
from db.models import ProjectRow
from tests.conftest import NOW


def test_threads_get_the_lock_in_the_order_in_which_they_asked() -> None:
    lock, order = FairLock(), list[int]()

    def write(number: int) -> None:
        with lock.held():
            order.append(number)

    with lock.held():
        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for count, thread in enumerate(threads, 1):
            thread.start()
            while len(lock._waiting) < count:
                sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_an_error_releases_the_lock() -> None:
    lock = FairLock()
    with pytest.raises(ValueError, match="x"), lock.held():
        raise ValueError("x")
    with lock.held():
        pass


def test_a_second_writing_session_in_a_thread_is_refused(database: Database) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL lets several write")
    with database.write(), pytest.raises(RuntimeError, match="one open already"), database.write():
        pass
    with database.write(), database.read():
        pass


def test_all_databases_of_a_file_share_its_lock(database: Database) -> None:
    assert write_lock("a") is write_lock("a")
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has no file")
    others = Database(database.url.render_as_string(hide_password=False))
    with database.write(), pytest.raises(RuntimeError), others.write():
        pass
    others.close()


def test_no_thread_of_eight_waits_long(database: Database) -> None:
    """SQLite's own waiting makes one of eight wait for seconds, where all together take two."""
    with database.write() as session:
        session.add(ProjectRow(id=1, name="p", created_at=NOW))
    written: list[int] = []
    went_first: list[int] = []

    def write(number: int) -> None:
        for at in range(25):
            before = len(written)
            with database.write() as session:
                went_first.append(len(written) - before)
                record_operation(session, LabelOperation(f"{number} {at}", 1, NOW))
                sleep(0.005)
            written.append(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    with database.read() as session:
        assert latest_operation_number(session, 1) == 200
    assert max(went_first) < 8 * 8
