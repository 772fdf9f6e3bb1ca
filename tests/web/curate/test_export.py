"""Exports over HTTP: what a job wrote is something to be saved, and nothing else is to be had."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from db.engine import Database
from studio.datasets import tasks
from studio.datasets.projects import Project
from studio.images.store import ImageStore
from studio.jobs import queue
from studio.progress import Silent
from studio.settings import Settings
from studio.web.curate.export import export_address
from studio.web.routes import routes
from studio.worker.perform import perform
from tests.conftest import NOW
from tests.datasets.material import fill


@pytest.fixture
def served(database: Database, home: Path) -> tuple[TestClient, Project, Path]:
    """A client, the project, and the file of an export of it."""
    settings = Settings(home=home, database_url=database.url.render_as_string(hide_password=False))
    project = fill(database, ImageStore(settings.images_dir))
    job_id = tasks.enqueue_export(database, project.id, "csv", NOW)
    with database.write() as session:
        queue.claim_one(session, job_id, "me", NOW)
    perform(database, settings, job_id, "me", Silent())
    (path,) = (settings.exports_dir / str(project.id)).iterdir()
    return TestClient(Starlette(routes=routes(settings))), project, path


def test_an_export_is_saved_under_its_name(served: tuple[TestClient, Project, Path]) -> None:
    client, project, path = served
    answer = client.get(export_address(project.id, path.name))
    assert answer.status_code == 200
    assert answer.content == path.read_bytes()
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["x-content-type-options"] == "nosniff"
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment; filename*=utf-8''%EC%A0%95%EC%9B%90")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-length"] == str(path.stat().st_size)


def test_a_download_that_broke_off_goes_on(served: tuple[TestClient, Project, Path]) -> None:
    client, project, path = served
    answer = client.get(export_address(project.id, path.name), headers={"Range": "bytes=100-199"})
    assert answer.status_code == 206
    assert answer.content == path.read_bytes()[100:200]


@pytest.mark.parametrize(
    "name",
    [
        "x.zip",
        "..%2f..%2fstudio.sqlite3",
        "..%5cstudio.sqlite3",
        "%2e%2e",
        "",
        "a/b.zip",
        "%00.zip",
        "x" * 5_000,
    ],
)
def test_nothing_else_is_served(served: tuple[TestClient, Project, Path], name: str) -> None:
    client, project, path = served
    (path.parent / "x.zip").write_bytes(b"PK")
    assert client.get(f"/studio/exports/{project.id}/{name}").status_code == 404


def test_of_another_project_and_when_it_is_gone(served: tuple[TestClient, Project, Path]) -> None:
    client, project, path = served
    for number in (project.id + 1, 2**31, 2**80):
        assert client.get(export_address(number, path.name)).status_code == 404
    path.unlink()
    assert client.get(export_address(project.id, path.name)).status_code == 404
