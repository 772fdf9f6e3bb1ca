"""The routes from which a browser fetches exports: only files that an export's job has written.

GET /studio/exports/{project}/{name}                  → the file, as something to be saved; 404
GET /studio/exports/{project}/models/{run}/{format}.zip → the same, of a run's model
"""

from pathlib import Path
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from db.engine import Database
from studio.collect.projects import project_of
from studio.errors import ProjectError
from studio.jobs.export_requests import export_path
from studio.jobs.model_export_requests import download_name, model_export_path
from studio.retrain.runs import project_runs
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


def model_export_address(project_id: int, run_id: int, form: str) -> str:
    """Return where a run's exported model is served. form: one of `FORMATS`."""
    return f"{EXPORTS}/{project_id}/models/{run_id}/{form}.zip"


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

    async def answer_model(request: Request) -> Response:
        found = await run_in_threadpool(look_for_model, **request.path_params)
        if found is None:
            return Response(status_code=404)
        path, name = found
        return FileResponse(path, media_type="application/zip", filename=name, headers=_HEADERS)

    def look_for_model(project_id: int, run_id: int, form: str) -> tuple[Path, str] | None:
        path = model_export_path(settings.exports_dir, project_id, run_id, form)
        if path is None or max(project_id, run_id) >= _IDS:
            return None
        try:
            with database.read() as session:
                run = project_runs.run(session, run_id)
                project = project_of(session, project_id)
        except ProjectError:
            return None
        return (path, download_name(project.name, run, form)) if run.project_id == project_id else None

    return [
        Route(f"{EXPORTS}/{{project_id:int}}/{{name}}", answer),
        Route(f"{EXPORTS}/{{project_id:int}}/models/{{run_id:int}}/{{form}}.zip", answer_model),
    ]
