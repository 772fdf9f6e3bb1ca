"""What all tests share: a data folder with awkward letters in its name, and where real photographs are."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from db.engine import Database
from db.migrate import migrate

FLOWERS = Path(__file__).resolve().parents[2] / "shared" / "data" / "flowers"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder as a person might name it."""
    folder = tmp_path / "내 사진 studio"
    folder.mkdir()
    return folder


@pytest.fixture
def database(home: Path) -> Iterator[Database]:
    """An empty database with the newest schema."""
    made = Database(f"sqlite:///{(home / 'studio.sqlite3').as_posix()}")
    migrate(made)
    yield made
    made.close()
