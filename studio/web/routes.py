"""HTTP routes of the web application: those of all pages, and images by hash, cached by the browser."""

import re
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from db.engine import Database
from db.models import ImageRow
from studio.errors import StudioError
from studio.images.store import ImageStore
from studio.settings import Settings
from studio.web.assets import asset_routes
from studio.web.collect.routes import upload_routes
from studio.web.curate.export import export_routes
from studio.web.curate.routes import curate_routes, detail_routes, hit_routes
from studio.web.predict.routes import predict_routes
from studio.web.retrain.routes import retrain_routes
from studio.web.retrain.tensorboard import TensorBoards
from studio.web.urls import image_url, preview_url, thumbnail_url

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PREVIEW = re.compile(r"[0-9a-f]{32}\.webp")
_IMMUTABLE = {
    "Cache-Control": "private, max-age=31536000, immutable",
    # Stored files are untrusted: the browser must show them as images and as nothing else.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def routes(settings: Settings, tensorboards: TensorBoards | None = None) -> list[BaseRoute]:
    """Return the routes over one data folder. tensorboards: given where the caller stops the processes."""
    store = ImageStore(settings.images_dir)
    database = Database(settings.sqlalchemy_url)

    def image_endpoint(path_of: Callable[[str, str], Path]) -> Callable[[Request], object]:
        async def answer(request: Request) -> Response:
            sha256 = request.path_params["sha256"]
            path = await run_in_threadpool(find, sha256) if _SHA256.fullmatch(sha256) else None
            if path is None:
                return Response(status_code=404)
            return FileResponse(path, headers=_IMMUTABLE)

        def find(sha256: str) -> Path | None:
            with database.read() as session:
                file_format = session.scalar(select(ImageRow.format).where(ImageRow.sha256 == sha256))
            try:
                return None if file_format is None else path_of(sha256, file_format)
            except (OSError, StudioError):
                return None  # a lost file: 404, and the page shows an empty tile

        return answer

    async def preview(request: Request) -> Response:
        name = request.path_params["name"]
        path = settings.previews_dir / name
        if not (_PREVIEW.fullmatch(name) and path.is_file()):
            return Response(status_code=404)
        return FileResponse(path, headers=_IMMUTABLE, media_type="image/webp")

    return [
        *asset_routes(),
        *upload_routes(settings, database),
        *detail_routes(database),
        *hit_routes(database),
        *curate_routes(settings, database),
        *export_routes(settings, database),
        *retrain_routes(database, tensorboards or TensorBoards(settings)),
        *predict_routes(settings, database),
        Route(preview_url("{name}"), preview),
        Route(thumbnail_url("{sha256}"), image_endpoint(store.thumbnail)),
        Route(image_url("{sha256}"), image_endpoint(store.browser_file)),
    ]
