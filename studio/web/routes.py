"""Our own HTTP routes: thumbnails and images, by hash, kept by the browser for ever; uploads; labels."""

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
from studio.web.addresses import image_address, preview_address, thumbnail_address
from studio.web.collect.routes import upload_routes
from studio.web.curate.export import export_routes
from studio.web.curate.routes import curate_routes, detail_routes, hit_routes
from studio.web.predict.routes import predicting_routes
from studio.web.retrain.routes import retraining_routes
from studio.web.retrain.tensorboard import TensorBoards

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PREVIEW = re.compile(r"[0-9a-f]{32}\.webp")
_FOR_EVER = {
    "Cache-Control": "private, max-age=31536000, immutable",
    # What is stored came from strangers: it is shown as an image and as nothing else.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def routes(settings: Settings, boards: TensorBoards | None = None) -> list[BaseRoute]:
    """Return the routes over one data folder. boards: what starts TensorBoard, for whoever is to stop it."""
    store = ImageStore(settings.images_dir)
    database = Database(settings.sqlalchemy_url)

    def serve(find: Callable[[str, str], Path]) -> Callable[[Request], object]:
        async def answer(request: Request) -> Response:
            sha256 = request.path_params["sha256"]
            path = await run_in_threadpool(look, sha256) if _SHA256.fullmatch(sha256) else None
            if path is None:
                return Response(status_code=404)
            return FileResponse(path, headers=_FOR_EVER)

        def look(sha256: str) -> Path | None:
            with database.read() as session:
                kind = session.scalar(select(ImageRow.format).where(ImageRow.sha256 == sha256))
            try:
                return None if kind is None else find(sha256, kind)
            except (OSError, StudioError):
                return None  # the file was lost: the page shows an empty tile, not a broken server

        return answer

    async def preview(request: Request) -> Response:
        name = request.path_params["name"]
        path = settings.previews_dir / name
        if not (_PREVIEW.fullmatch(name) and path.is_file()):
            return Response(status_code=404)
        return FileResponse(path, headers=_FOR_EVER, media_type="image/webp")

    return [
        *upload_routes(settings, database),
        *detail_routes(database),
        *hit_routes(database),
        *curate_routes(settings, database),
        *export_routes(settings, database),
        *retraining_routes(database, boards or TensorBoards(settings)),
        *predicting_routes(settings, database),
        Route(preview_address("{name}"), preview),
        Route(thumbnail_address("{sha256}"), serve(store.thumbnail)),
        Route(image_address("{sha256}"), serve(store.viewing)),
    ]
