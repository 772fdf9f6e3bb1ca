"""The database: sessions for reading and for writing, column types, and inserts that skip existing rows."""

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any, ClassVar

from sqlalchemy import JSON, Connection, DateTime, Dialect, MetaData, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator


class FairLock:
    """A lock that threads get in the order in which they asked for it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False
        self._owner: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock for the block.

        Raises RuntimeError if this thread holds it already, since it would wait for itself for ever.
        """
        me = threading.get_ident()
        if self._owner == me:
            raise RuntimeError(
                "expected one writing session at a time in a thread; this thread has one open already. "
                "Use that, or end it first."
            )
        self._acquire()
        self._owner = me
        try:
            yield
        finally:
            self._owner = None
            self._release()

    def _acquire(self) -> None:
        signal = threading.Lock()
        signal.acquire()
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            self._waiting.append(signal)
        try:
            signal.acquire()
        except BaseException:  # Ctrl+C while waiting: the lock must not stay with a thread that has gone
            with self._guard:
                queued = signal in self._waiting
                if queued:
                    self._waiting.remove(signal)
            if not queued:
                self._release()
            raise

    def _release(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


_guard = threading.Lock()
_locks: dict[str, FairLock] = {}


def write_lock(file: str) -> FairLock:
    """Return the lock for writing to a database file, the same one for all threads of this process."""
    with _guard:
        return _locks.setdefault(file, FairLock())


BUSY_TIMEOUT_S = 15
"""Time that a writer waits for another process, on SQLite."""


class Database:
    """A database at an SQLAlchemy URL, with separate sessions for reading and for writing.

    They are separate because on SQLite a transaction that began by reading cannot wait when it wants to write
    after another one has written: it fails at once. A writing session therefore takes the write lock when it
    begins. Threads of one process wait for it in a queue, without limit; other processes are waited for up to
    `BUSY_TIMEOUT_S`.
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
        """Open a session for reading: it sees one consistent state and never waits for a writer."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session for one transaction, committed at the end of the block or rolled back as a whole.

        A thread may have one at a time (on SQLite a second one raises RuntimeError), and must not wait inside
        it for another thread that writes: on SQLite it would wait for ever.
        """
        with (
            self._write_lock(),
            Session(self._writing_engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def _write_lock(self) -> AbstractContextManager[None]:
        return nullcontext() if self._file is None else write_lock(self._file).held()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction control would interfere with `_begin_sqlite`.
    connection.isolation_level = None
    cursor = connection.cursor()
    _enable_wal(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # Memory-mapped reads: a third less time for queries over many rows.
    cursor.execute("PRAGMA mmap_size=268435456")
    cursor.close()


def _enable_wal(cursor: sqlite3.Cursor) -> None:
    # Switching a file to WAL needs exclusive access, and SQLite does not wait for that: of two programs that
    # start at once on a new folder, one would fail.
    deadline = monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                raise
        sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware datetime, stored as UTC. SQLite alone would drop the time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC. Raises ValueError for a datetime without a time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected a datetime with a time zone; {value!r} has none")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all models. Every constraint has a name, so that migrations find it on any database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


def insert_ignoring(
    session: Session, table: type[DeclarativeBase], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert `rows` (attribute name → value), skipping those that violate a unique constraint."""
    if not rows:
        return
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))
