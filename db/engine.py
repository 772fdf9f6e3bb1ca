"""Opening the database: one object that gives out sessions for reading and for writing."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from db.turns import turns_of

BUSY_TIMEOUT_S = 15


class Database:
    """A database whose schema is up to date.

    Reading and writing are told apart because SQLite cannot wait when a transaction that began by reading
    wants to write after another one has written: it fails at once. A writing session therefore takes the
    write lock when it begins. Threads of one process wait for it in a queue, however long; another process is
    waited for up to `BUSY_TIMEOUT_S`.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self._file: str | None = None
        if self.url.get_backend_name() == "sqlite":
            if self.url.database and self.url.database != ":memory:":
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
                self._file = str(Path(self.url.database).resolve())
            self.engine = create_engine(self.url, connect_args={"timeout": BUSY_TIMEOUT_S})
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = create_engine(self.url, pool_pre_ping=True)
        self._writing_engine = self.engine.execution_options(writing=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for looking: it sees one consistent state and never waits for a writer."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction for one act: committed whole at the end, or not at all.

        A thread has one at a time, and must not wait inside it for another thread that writes: on SQLite it
        would wait for ever. The first of these raises RuntimeError there.
        """
        with (
            self._turn(),
            Session(self._writing_engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def _turn(self) -> AbstractContextManager[None]:
        return nullcontext() if self._file is None else turns_of(self._file).turn()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own guessing when to begin would undo ours below.
    connection.isolation_level = None
    cursor = connection.cursor()
    _keep_a_log(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # Pages are looked at where the system holds them, not copied: a third off what reads many rows.
    cursor.execute("PRAGMA mmap_size=268435456")
    cursor.close()


def _keep_a_log(cursor: sqlite3.Cursor) -> None:
    # While a file gets its write-ahead log nobody may have it open in the old way, and for that alone SQLite
    # does not wait: of two programs that start at once on a new folder, one would fail.
    until = monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
        sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
