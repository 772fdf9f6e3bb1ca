"""Fixtures of all tests: data folders with Korean letters in their names, databases, real photographs."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfile
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from db.engine import Database
from db.migrate import migrate

FLOWERS = Path(__file__).resolve().parents[2] / "shared" / "data" / "flowers"
POSTGRESQL = os.environ.get("STUDIO_TEST_POSTGRESQL")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def until(holds: Callable[[], object], within_s: float = 300) -> None:
    """Wait until something holds, however busy the machine is."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, f"it did not come to hold within {within_s} s"
        time.sleep(0.02)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder as a person might name it."""
    folder = tmp_path / "내 사진 studio"
    folder.mkdir()
    return folder


class Server:
    """PostgreSQL, on which every test has a database of its own."""

    def __init__(self, address: str) -> None:
        self._address = make_url(address)
        self._engine = create_engine(address, isolation_level="AUTOCOMMIT")

    def make(self, name: str, template: str = "template1") -> Database:
        """Make a database, a copy of another."""
        self._do(f"CREATE DATABASE {name} TEMPLATE {template}")
        return Database(self._address.set(database=name).render_as_string(hide_password=False))

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        for left in reversed(range(50)):
            try:
                return self._do(f"DROP DATABASE {name} WITH (FORCE)")
            except ProgrammingError:  # the server itself is vacuuming it, which only its owner may end
                if not left:
                    raise
                time.sleep(0.2)

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    def _do(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.execute(text(statement))


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database with the newest schema, to be copied: that takes less than to migrate anew."""
    file = tmp_path_factory.mktemp("migrated") / "studio.sqlite3"
    made = Database(f"sqlite:///{file.as_posix()}")
    migrate(made)
    made.close()
    return file


@pytest.fixture(scope="session")
def migrated_server() -> Iterator[tuple[Server, str]]:
    """The PostgreSQL server, and the name of an empty database with the newest schema to be copied.

    The server is the one that `STUDIO_TEST_POSTGRESQL` has an SQLAlchemy address of; it must let us make
    databases. An example: `postgresql+psycopg://studio:secret@127.0.0.1/postgres`.
    """
    if not POSTGRESQL:
        pytest.skip("STUDIO_TEST_POSTGRESQL names no server")
    server, name = Server(POSTGRESQL), f"studio_test_{uuid4().hex}"
    made = server.make(name)
    try:
        migrate(made)
        made.close()  # whoever is connected to it keeps it from being copied
        yield server, name
    finally:
        made.close()
        server.drop(name)
        server.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, home: Path) -> Iterator[Database]:
    """An empty database with the newest schema, of each kind the studio runs on."""
    if request.param == "sqlite":
        file = copyfile(request.getfixturevalue("migrated_file"), home / "studio.sqlite3")
        made = Database(f"sqlite:///{file.as_posix()}")
        yield made
        made.close()
        return
    server, template = request.getfixturevalue("migrated_server")
    name = f"studio_test_{uuid4().hex}"
    made = server.make(name, template)
    yield made
    made.close()
    server.drop(name)
