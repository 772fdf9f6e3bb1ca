"""Exporting from a page: which format, how far it is, and what was exported before."""

from pathlib import Path
from urllib.parse import quote

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from db.engine import Database
from studio.datasets import tasks
from studio.datasets.export import KINDS, about
from studio.datasets.projects import Project, project_of
from studio.datasets.tasks import KEPT, Export, export_path
from studio.errors import ProjectError, StudioError
from studio.i18n import _, counted
from studio.retrain.runs import run_records
from studio.settings import Settings, settings
from studio.share.tasks import download_name, model_export_path
from studio.web.jobs_panel import ended_badly, watch
from studio.web.state import database, now
from studio.web.text import file_size, images, moment, plain

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
                run = run_records.run(session, run_id)
                project = project_of(session, project_id)
        except ProjectError:
            return None
        return (path, download_name(project.name, run, form)) if run.project_id == project_id else None

    return [
        Route(f"{EXPORTS}/{{project_id:int}}/{{name}}", answer),
        Route(f"{EXPORTS}/{{project_id:int}}/models/{{run_id:int}}/{{form}}.zip", answer_model),
    ]


def draw(here: Project) -> None:
    """Draw the part of a page in which a project is exported."""
    with st.expander(_("Export"), icon=":material/ios_share:", key=f"exporting-{here.id}"):
        st.markdown(
            _(
                "Everything is written: images, classes, rejected ones, splits, provenance and licences. "
                "Bring the file in again, here or elsewhere, and all of it is back."
            )
        )
        titles = _titles()
        kind = st.radio(
            _("Format"),
            KINDS,
            format_func=lambda each: titles[each],
            captions=[about(each) for each in KINDS],
            key=f"export-format-{here.id}",
        )
        if st.button(_("Export"), type="primary", icon=":material/ios_share:", key=f"export-{here.id}"):
            _ask(here, kind)
        job = watch(here.id, {"export_data"})
        if job is not None:
            ended_badly(job)
        _earlier(here)


def _titles() -> dict[str, str]:
    return {
        "folders": _("Class folders"),
        "csv": _("Table (CSV)"),
        "coco": "COCO",
        "hf": _("Hugging Face image folder"),
        "tfrecord": "TFRecord",
    }


def _ask(here: Project, kind: str) -> None:
    try:
        tasks.export(database(), here.id, kind, now())
    except StudioError as error:
        st.warning(plain(str(error)))


def _earlier(here: Project) -> None:
    with database().read() as session:
        found = tasks.exports(session, settings().exports_dir, here.id)
    for number, export in enumerate(found):
        place = st.container(horizontal=True, vertical_alignment="center", key=f"exported-{here.id}-{number}")
        place.link_button(
            plain(export.name),
            export_address(here.id, export.name),
            icon=":material/download:",
            type="primary" if number == 0 else "secondary",
        )
        place.caption(_said(export), width="stretch")
        if place.button(_("Delete"), icon=":material/delete:", key=f"delete-{export.name}", type="tertiary"):
            _remove(here, export)
    if found:
        st.caption(_("The newest {count} of each format are kept.").format(count=KEPT))


def _said(export: Export) -> str:
    said = f"{images(export.images)}, {file_size(export.size_bytes)}, {moment(export.at)}"
    if export.lost_count:
        lost = counted("{count} file is lost", "{count} files are lost", export.lost_count)
        said += f", {lost}"
    return plain(said)


def _remove(here: Project, export: Export) -> None:
    try:
        tasks.remove(database(), settings().exports_dir, here.id, export.name)
    except StudioError as error:
        st.warning(plain(str(error)))
    else:
        st.rerun()
