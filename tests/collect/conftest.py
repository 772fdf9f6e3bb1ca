"""A project in an empty database, with an image store."""

from pathlib import Path

import pytest

from db.engine import Database
from studio.datasets.projects import create_project
from studio.images.store import ImageStore
from tests.collect.material import Bench
from tests.conftest import NOW


@pytest.fixture
def bench(database: Database, home: Path) -> Bench:
    with database.write() as session:
        project = create_project(session, "꽃 flowers", NOW)
    return Bench(database, ImageStore(home / "pictures"), project.id)
