"""Opening the database: one object that gives out sessions for reading and for writing."""

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


class Turns:
    """A lock that is handed on in the order in which threads asked for it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False
        self._owner: int | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until it is this thread's turn, and hand it on at the end.

        Raises RuntimeError where the thread has the turn already: it would wait for itself for ever.
        """
        me = threading.get_ident()
        if self._owner == me:
            raise RuntimeError(
                "expected one writing session at a time in a thread; this thread has one open already. "
                "Use that, or end it first."
            )
        self._take()
        self._owner = me
        try:
            yield
        finally:
            self._owner = None
            self._hand_on()

    def _take(self) -> None:
        gate = threading.Lock()
        gate.acquire()
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            self._waiting.append(gate)
        try:
            gate.acquire()
        except BaseException:  # Ctrl+C while waiting: nobody must be left waiting for one who went away
            with self._guard:
                gone = gate in self._waiting
                if gone:
                    self._waiting.remove(gate)
            if not gone:
                self._hand_on()
            raise

    def _hand_on(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


_guard = threading.Lock()
_turns: dict[str, Turns] = {}


def turns_of(file: str) -> Turns:
    """Return the turns of a database's file, the same for everyone in this process."""
    with _guard:
        return _turns.setdefault(file, Turns())


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


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with a time zone going in and UTC coming out; SQLite alone would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a moment without a zone, store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected a datetime with a time zone; {value!r} has none")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give UTC back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can find it on any database."""

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
    """Insert `rows` (column name → value); one that meets a row already there leaves that as it is."""
    if not rows:
        return
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))
