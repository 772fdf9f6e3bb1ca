"""Writing in turn: threads of one process one after the other, in the order they came, and none stuck."""

import threading
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest

from db.engine import Database, Turns, turns_of
from db.labelling import newest_number, record
from db.models import ProjectRow
from tests.conftest import NOW


def test_in_the_order_in_which_they_came() -> None:
    turns, order = Turns(), list[int]()

    def write(number: int) -> None:
        with turns.turn():
            order.append(number)

    with turns.turn():
        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for came, thread in enumerate(threads, 1):
            thread.start()
            while len(turns._waiting) < came:
                sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_a_turn_ends_with_an_error_too() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="x"), turns.turn():
        raise ValueError("x")
    with turns.turn():
        pass


def test_a_thread_that_waits_for_itself_is_told(database: Database) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL lets several write")
    with database.write(), pytest.raises(RuntimeError, match="one open already"), database.write():
        pass
    with database.write(), database.read():
        pass


def test_all_who_open_a_file_share_its_turns(database: Database) -> None:
    assert turns_of("a") is turns_of("a")
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has no file")
    others = Database(database.url.render_as_string(hide_password=False))
    with database.write(), pytest.raises(RuntimeError), others.write():
        pass
    others.close()


def test_nobody_waits_long_among_eight(database: Database) -> None:
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
                record(session, operation_id=f"{number} {at}", project_id=1, at=NOW, targets={})
                sleep(0.005)
            written.append(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    with database.read() as session:
        assert newest_number(session, 1) == 200
    assert max(went_first) < 8 * 8
