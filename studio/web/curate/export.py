"""Exporting a data set from the page: the section that starts and lists exports, and the download routes."""

from pathlib import Path
from urllib.parse import quote

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from db.engine import Database
from studio.curate.params import LARGEST_ID
from studio.datasets import tasks
from studio.datasets.formats import EXPORT_FORMATS
from studio.datasets.projects import Project, project_of
from studio.datasets.tasks import MAX_KEPT_EXPORTS, Export, export_path
from studio.errors import ProjectError, StudioError
from studio.i18n import _, counted
from studio.retrain.runs import run_records
from studio.settings import Settings, settings
from studio.share.tasks import download_name, model_export_path
from studio.web.jobs_panel import draw_failure, watch_jobs
from studio.web.state import database, now
from studio.web.text import escape_markdown, format_datetime, format_size, image_count

EXPORTS = "/studio/exports"
_HEADERS = {
    "Cache-Control": "no-store",
    # Files of unknown origin are saved, never displayed.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def export_address(project_id: int, name: str) -> str:
    """Return the path of an export's download."""
    return f"{EXPORTS}/{project_id}/{quote(name, safe='')}"


def model_export_address(project_id: int, run_id: int, export_format: str) -> str:
    """Return the path of the download of a run's exported model."""
    return f"{EXPORTS}/{project_id}/models/{run_id}/{export_format}.zip"


def export_routes(settings: Settings, database: Database) -> list[BaseRoute]:
    """Return the download routes over one data folder."""

    async def download(request: Request) -> Response:
        path = await run_in_threadpool(find_export, **request.path_params)
        if path is None:
            return Response(status_code=404)
        return FileResponse(path, media_type="application/zip", filename=path.name, headers=_HEADERS)

    def find_export(project_id: int, name: str) -> Path | None:
        if project_id > LARGEST_ID:
            return None
        with database.read() as session:
            return export_path(session, settings.exports_dir, project_id, name)

    async def download_model(request: Request) -> Response:
        found = await run_in_threadpool(find_model, **request.path_params)
        if found is None:
            return Response(status_code=404)
        path, name = found
        return FileResponse(path, media_type="application/zip", filename=name, headers=_HEADERS)

    def find_model(project_id: int, run_id: int, export_format: str) -> tuple[Path, str] | None:
        path = model_export_path(settings.exports_dir, project_id, run_id, export_format)
        if path is None or max(project_id, run_id) > LARGEST_ID:
            return None
        try:
            with database.read() as session:
                run = run_records.get_run(session, run_id)
                project = project_of(session, project_id)
        except ProjectError:
            return None
        return (
            (path, download_name(project.name, run, export_format)) if run.project_id == project_id else None
        )

    return [
        Route(f"{EXPORTS}/{{project_id:int}}/{{name}}", download),
        Route(f"{EXPORTS}/{{project_id:int}}/models/{{run_id:int}}/{{export_format}}.zip", download_model),
    ]


def draw_export(here: Project) -> None:
    """Draw the section that exports a project and lists its exports."""
    with st.expander(_("Export"), icon=":material/ios_share:", key=f"exporting-{here.id}"):
        st.markdown(
            _(
                "Writes everything: images, classes, rejected images, splits, provenance and licences. "
                "Import the file here or elsewhere to restore all of it."
            )
        )
        kind = st.radio(
            _("Format"),
            EXPORT_FORMATS,
            format_func=lambda name: EXPORT_FORMATS[name].title,
            captions=[each.description for each in EXPORT_FORMATS.values()],
            key=f"export-format-{here.id}",
        )
        if st.button(_("Export"), type="primary", icon=":material/ios_share:", key=f"export-{here.id}"):
            _start(here, kind)
        job = watch_jobs(here.id, {"export_data"})
        if job is not None:
            draw_failure(job)
        _list_exports(here)


def _start(here: Project, kind: str) -> None:
    try:
        tasks.enqueue_export(database(), here.id, kind, now())
    except StudioError as error:
        st.warning(escape_markdown(str(error)))


def _list_exports(here: Project) -> None:
    with database().read() as session:
        exports = tasks.list_exports(session, settings().exports_dir, here.id)
    for number, export in enumerate(exports):
        place = st.container(horizontal=True, vertical_alignment="center", key=f"exported-{here.id}-{number}")
        place.link_button(
            escape_markdown(export.name),
            export_address(here.id, export.name),
            icon=":material/download:",
            type="primary" if number == 0 else "secondary",
        )
        place.caption(_describe(export), width="stretch")
        if place.button(_("Delete"), icon=":material/delete:", key=f"delete-{export.name}", type="tertiary"):
            _delete(here, export)
    if exports:
        st.caption(_("The newest {count} of each format are kept.").format(count=MAX_KEPT_EXPORTS))


def _describe(export: Export) -> str:
    parts = [
        image_count(export.images),
        format_size(export.size_bytes),
        format_datetime(export.created_at),
    ]
    if export.lost_count:
        parts.append(counted("{count} file is missing", "{count} files are missing", export.lost_count))
    return escape_markdown(", ".join(parts))


def _delete(here: Project, export: Export) -> None:
    try:
        tasks.delete_export(database(), settings().exports_dir, here.id, export.name)
    except StudioError as error:
        st.warning(escape_markdown(str(error)))
    else:
        st.rerun()
