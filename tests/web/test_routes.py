"""Image routes: immutable, shown as images only, and no other file."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from db.engine import Database
from db.models import ProjectRow
from studio.collect.importers import ingest_path
from studio.collect.ingest import ImportContext
from studio.images.store import ImageStore
from studio.settings import Settings
from studio.web.routes import routes
from studio.web.urls import image_url, thumbnail_url
from tests.conftest import NOW


@pytest.fixture
def served(database: Database, home: Path) -> tuple[TestClient, ImageStore, dict[str, str]]:
    """A client, the store, and the SHA-256 of an image of each format by its format."""
    settings = Settings(home=home, database_url=database.url.render_as_string(hide_password=False))
    store = ImageStore(settings.images_dir)
    folder = home / "들어올 것" / "꽃"
    folder.mkdir(parents=True)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 1200, 3), np.uint8))
    noise.save(folder / "a.jpg")
    noise.save(folder / "b.tiff")
    with database.write() as session:
        project = ProjectRow(name="p", created_at=NOW)
        session.add(project)
    ingest_path(
        ImportContext(database=database, store=store, project_id=project.id, clock=lambda: NOW), folder.parent
    )
    found = {path.suffix: path.stem for path in (settings.images_dir / "originals").rglob("*.*")}
    return TestClient(Starlette(routes=routes(settings))), store, found


def test_thumbnails_are_small_and_immutable(
    served: tuple[TestClient, ImageStore, dict[str, str]],
) -> None:
    client, _store, found = served
    for suffix in (".jpg", ".tif"):
        answer = client.get(thumbnail_url(found[suffix]))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert max(Image.open(io.BytesIO(answer.content)).size) == 256


def test_a_lost_thumbnail_is_made_again(served: tuple[TestClient, ImageStore, dict[str, str]]) -> None:
    client, store, found = served
    store.thumbnail(found[".jpg"], "JPEG").unlink()
    assert client.get(thumbnail_url(found[".jpg"])).status_code == 200


def test_formats_that_browsers_do_not_show_are_converted(
    served: tuple[TestClient, ImageStore, dict[str, str]],
) -> None:
    client, _store, found = served
    answer = client.get(image_url(found[".tif"]))
    assert Image.open(io.BytesIO(answer.content)).format == "WEBP"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert Image.open(io.BytesIO(client.get(image_url(found[".jpg"])).content)).format == "JPEG"


@pytest.mark.parametrize(
    "name", ["0" * 64, "../../studio.sqlite3", "..%2f..%2fstudio.sqlite3", "A" * 64, "", "x"]
)
def test_nothing_else_is_served(served: tuple[TestClient, ImageStore, dict[str, str]], name: str) -> None:
    client, _store, _found = served
    assert client.get(image_url(name)).status_code == 404
    assert client.get(thumbnail_url(name)).status_code == 404
