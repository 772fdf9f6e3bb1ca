"""The modules of the components are served under the hash of their content, and nothing else is."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from studio.web import assets
from studio.web.middleware import SharedSecretAuth

STUDIO = Path(assets.__file__).parents[1]
ENTRY = STUDIO / "web" / "curate" / "frontend" / "curate_view.js"
MODULE = f"{assets.ASSETS}/{assets.version()}/web/curate/frontend/curate_view.js"


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=assets.asset_routes()))


def test_a_module_is_javascript_and_kept_for_ever(client: TestClient) -> None:
    response = client.get(MODULE)
    assert response.status_code == 200
    assert response.content == ENTRY.read_bytes()
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/0123456789abcdef/web/curate/frontend/curate_view.js",
        f"/{assets.version()}/web/curate/component.py",
        f"/{assets.version()}/web/curate/frontend/types.d.ts",
        f"/{assets.version()}/web/curate/frontend",
        f"/{assets.version()}/web/curate/frontend/..%2f..%2fassets.py",
        f"/{assets.version()}/..%2f..%2fREADME.md",
        f"/{assets.version()}//etc/passwd",
        f"/{assets.version()}/%2e%2e/%2e%2e/settings.py",
        f"/{assets.version()}/share/web_demo/page/app.js",
        f"/{assets.version()}/",
    ],
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    response = client.get(assets.ASSETS + path)
    assert response.status_code == 404
    assert response.headers.get("cache-control") != "private, max-age=31536000, immutable"


def test_the_secret_guards_them() -> None:
    app = Starlette(
        routes=assets.asset_routes(), middleware=[Middleware(SharedSecretAuth, secret="open sesame")]
    )
    client = TestClient(app)
    assert client.get(MODULE).status_code == 401
    client.get("/", params={"secret": "open sesame"})
    assert client.get(MODULE).status_code == 200


def test_every_import_is_served() -> None:
    for path in assets.modules():
        for imported in assets.imported_modules(path):
            assert imported in assets.modules(), f"{path} imports {imported}"


def test_the_loader_preloads_what_the_component_imports() -> None:
    text = assets.loader(ENTRY)
    assert f'"{assets.ASSETS}/{assets.version()}/"' in text
    imported = assets.imported_modules("web/curate/frontend/curate_view.js")
    assert {"share/web_demo/page/dom.js", "web/curate/frontend/map_points.js"} <= set(imported)
    assert all(f'"{path}"' in text for path in imported)
    assert "web/retrain/frontend/runs_panel.js" not in text


def test_the_version_changes_with_the_content(monkeypatch: pytest.MonkeyPatch) -> None:
    before = assets.version()
    changed = {
        path: content + b" " if path.endswith("tile.js") else content
        for path, content in assets.modules().items()
    }
    assets.version.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(assets, "modules", lambda: changed)
        after = assets.version()
    assets.version.cache_clear()
    assert after != before
    assert assets.version() == before
