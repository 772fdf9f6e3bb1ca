"""The route from which a browser fetches exports: only files that an export's job has written.

GET /studio/exports/{project}/{name} → the file, as something to be saved; 404
"""

from pathlib import Path
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from db.engine import Database
from studio.jobs.export_requests import export_path
from studio.settings import Settings

EXPORTS = "/studio/exports"
_HEADERS = {
    "Cache-Control": "no-store",
    # What is in it came from strangers: it is saved, never shown.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
_IDS = 2**31
"""No database has such an id, and some refuse to look."""


def export_address(project_id: int, name: str) -> str:
    """Return where an export is served."""
    return f"{EXPORTS}/{project_id}/{quote(name, safe='')}"


def export_routes(settings: Settings, database: Database) -> list[BaseRoute]:
    """Return the route over one data folder."""

    async def answer(request: Request) -> Response:
        path = await run_in_threadpool(look, **request.path_params)
        if path is None:
            return Response(status_code=404)
        return FileResponse(path, media_type="application/zip", filename=path.name, headers=_HEADERS)

    def look(project_id: int, name: str) -> Path | None:
        if project_id >= _IDS:
            return None
        with database.read() as session:
            return export_path(session, settings.exports_dir, project_id, name)

    return [Route(f"{EXPORTS}/{{project_id:int}}/{{name}}", answer)]
