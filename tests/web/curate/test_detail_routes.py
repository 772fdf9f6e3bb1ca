"""All about one image: its provenance as text, links of the web only, and nothing of other projects."""

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from studio.datasets.projects import create_project
from studio.images.provenance import Provenance
from studio.web.curate.routes import detail_address, detail_routes
from tests.collect.conftest import bench  # noqa: F401 - a fixture
from tests.collect.material import Bench
from tests.conftest import NOW
from tests.images.test_provenance import ROSE, found_at, id_of


def client_of(bench: Bench) -> TestClient:  # noqa: F811
    return TestClient(Starlette(routes=detail_routes(bench.database)))


def shown(rows: list[dict[str, str]]) -> dict[str, tuple[str, str]]:
    return {row["label"]: (row["text"], row["address"]) for row in rows}


def details(bench: Bench, seed: int) -> dict[str, Any]:  # noqa: F811
    answer = client_of(bench).get(detail_address(bench.project_id, id_of(bench, seed)))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


def test_every_place_with_its_provenance(bench: Bench) -> None:  # noqa: F811
    bench.ingest([found_at("https://a.example/rose.jpg", known=ROSE), found_at("꽃/rose.jpg", kind="folder")])
    found = details(bench, 0)
    assert shown(found["facts"])["Name"] == ("rose.jpg", "")
    assert shown(found["facts"])["Format"] == ("JPEG", "")
    assert shown(found["facts"])["Size"][0].startswith("48 by 32 pixels, ")
    first, second = map(shown, found["places"])
    assert first["Found at"] == ("https://a.example/rose.jpg", "https://a.example/rose.jpg")
    assert first["On the page"] == ("https://정원.example/꽃", "https://정원.example/꽃")
    assert first["Title"] == ("<b>Rose</b>", "")
    assert first["Author"] == ("Anna & Söhne", "")
    assert first["Licence"] == ("CC BY 2.0", "https://creativecommons.org/licenses/by/2.0/")
    assert first["Robots rules"] == ("robots.txt allows", "")
    assert first["Added"][0].endswith("crawled from web pages")
    assert second["Found at"] == ("꽃/rose.jpg", "")
    assert second["Licence"] == ("unknown", "")
    assert set(second) == {"Found at", "Licence", "Added"}


def test_only_addresses_of_the_web_become_links(bench: Bench) -> None:  # noqa: F811
    hostile = Provenance("javascript:alert(1)", "x", "y", "CC0", " data:text/html,<script>alert(1)</script>")
    bench.ingest([found_at("file:///etc/passwd", known=hostile)])
    (place,) = details(bench, 0)["places"]
    assert {row["address"] for row in place} == {""}


def test_own_work_needs_no_licence(bench: Bench) -> None:  # noqa: F811
    bench.ingest([found_at("webcam.jpg", kind="camera")])
    (place,) = details(bench, 0)["places"]
    assert shown(place)["Licence"] == ("own work", "")


@pytest.mark.parametrize("asked", ["0", "99999999999999999999", "-1", "x", "1%2F..%2F1"])
def test_what_is_not_there_is_not_found(bench: Bench, asked: str) -> None:  # noqa: F811
    bench.ingest([found_at("a.jpg")])
    client = client_of(bench)
    assert client.get(detail_address(bench.project_id, asked)).status_code == 404
    assert client.get(detail_address(asked, id_of(bench, 0))).status_code == 404


def test_another_projects_image_is_not_found(bench: Bench) -> None:  # noqa: F811
    bench.ingest([found_at("a.jpg")])
    with bench.database.write() as session:
        other = create_project(session, "other", NOW)
    assert client_of(bench).get(detail_address(other.id, id_of(bench, 0))).status_code == 404
