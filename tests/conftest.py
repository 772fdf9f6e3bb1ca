"""What all tests share: a data folder with awkward letters in its name, and where real photographs are."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from db.engine import Database
from db.migrate import migrate

FLOWERS = Path(__file__).resolve().parents[2] / "shared" / "data" / "flowers"
POSTGRESQL = os.environ.get("STUDIO_TEST_POSTGRESQL")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder as a person might name it."""
    folder = tmp_path / "내 사진 studio"
    folder.mkdir()
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, home: Path) -> Iterator[Database]:
    """An empty database with the newest schema, of each kind the studio runs on.

    PostgreSQL where `STUDIO_TEST_POSTGRESQL` holds an SQLAlchemy address of a server that lets us make
    databases, such as `postgresql+psycopg://studio:secret@127.0.0.1/postgres`.
    """
    if request.param == "sqlite":
        made = Database(f"sqlite:///{(home / 'studio.sqlite3').as_posix()}")
        migrate(made)
        yield made
        made.close()
        return
    if not POSTGRESQL:
        pytest.skip("STUDIO_TEST_POSTGRESQL names no server")
    server = create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    name = f"studio_test_{uuid4().hex}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    made = Database(make_url(POSTGRESQL).set(database=name).render_as_string(hide_password=False))
    try:
        migrate(made)
        yield made
    finally:
        made.close()
        for left in reversed(range(50)):
            try:
                with server.connect() as connection:
                    connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
                break
            except ProgrammingError:  # the server itself is vacuuming it, which only its owner may end
                if not left:
                    raise
                time.sleep(0.2)
        server.dispose()
