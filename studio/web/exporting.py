"""Exporting from a page: which format, how far it is, and what was exported before."""

import streamlit as st

from studio.collect.projects import Project
from studio.curate.export.export import KINDS, about
from studio.errors import StudioError
from studio.jobs import export_requests
from studio.jobs.export_requests import Export
from studio.jobs.exporting import EXPORTING, KEPT
from studio.language import _, counted
from studio.settings import settings
from studio.web.export_routes import export_address
from studio.web.jobs_panel import ended_badly, watch
from studio.web.state import database, now
from studio.web.words import file_size, moment, pictures, plain


def draw(here: Project) -> None:
    """Draw the part of a page in which a project is exported."""
    with st.expander(_("Export"), icon=":material/ios_share:", key=f"exporting-{here.id}"):
        st.markdown(
            _(
                "Everything is written: pictures, classes, rejected ones, splits, papers and licences. "
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
        job = watch(here.id, set(EXPORTING))
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
        export_requests.export(database(), here.id, kind, now())
    except StudioError as error:
        st.warning(plain(str(error)))


def _earlier(here: Project) -> None:
    with database().read() as session:
        found = export_requests.exports(session, settings().exports_dir, here.id)
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
    said = f"{pictures(export.pictures)}, {file_size(export.size_bytes)}, {moment(export.at)}"
    if export.lost_count:
        lost = counted("{count} file is lost", "{count} files are lost", export.lost_count)
        said += f", {lost}"
    return plain(said)


def _remove(here: Project, export: Export) -> None:
    try:
        export_requests.remove(database(), settings().exports_dir, here.id, export.name)
    except StudioError as error:
        st.warning(plain(str(error)))
    else:
        st.rerun()
