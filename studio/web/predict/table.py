"""Many answers as a table, with the CSV file that others can work with."""

import io
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from studio.datasets.projects import Project
from studio.errors import ImageRefused, StudioError
from studio.i18n import _, counted
from studio.images.decode import read_image_file
from studio.predict.batch import Row, read_csv, write_csv
from studio.predict.tasks import FolderAnswers, ask_folder, folder_answers
from studio.settings import settings
from studio.web.jobs_panel import ended_badly, watch
from studio.web.state import database, now
from studio.web.text import images, percent, plain


def table(rows: Sequence[Row], *, key: str) -> list[int]:
    """Draw answers as a table; return the places of those rows that a person has picked."""
    shown = [
        {
            _("File"): row.name,
            _("Answer"): row.answer or "—",
            _("Probability"): row.probability,
            _("Sure"): _said(row),
            _("Second"): row.second,
        }
        for row in rows
    ]
    event = st.dataframe(
        shown,
        key=key,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        column_config={
            _("Probability"): st.column_config.ProgressColumn(
                format="percent", min_value=0.0, max_value=1.0, width="small"
            )
        },
    )
    return list(event.selection.rows)


def csv_of(rows: Sequence[Row]) -> bytes:
    """Return the CSV file of some rows."""
    text = io.StringIO()
    write_csv(rows, text)
    return text.getvalue().encode("utf-8")


def _said(row: Row) -> str:
    if row.refused:
        return row.refused
    return {None: _("sure"), "unlikely": _("not sure"), "strange": _("like nothing in training")}[row.doubt]


_ROWS = 5_000
_LOOKED_AT = 4
"""So many picked images at most are drawn in full."""


def draw(here: Project, run_id: int) -> list[tuple[str, bytes]]:
    """Draw the way in, a folder on the studio's machine, and its table.

    Return the files that are picked there, each as its name and its bytes.
    """
    with st.form(f"folder-{here.id}", border=False):
        place = st.container(horizontal=True, vertical_alignment="bottom")
        text = place.text_input(_("A folder on this machine"), key=f"folder-path-{here.id}")
        asked = place.form_submit_button(_("Ask about all of it"), icon=":material/folder_open:")
    if asked and text.strip():
        try:
            ask_folder(database(), here.id, run_id, Path(text.strip()), now())
        except StudioError as error:
            st.error(plain(str(error)), icon=":material/error:")
    job = watch(here.id, {"answer_folder"})
    if job is None:
        st.caption(_("Every image below it is asked about; nothing in it is changed."))
        return []
    ended_badly(job)
    found = folder_answers(settings().answers_dir, job)
    return [] if found is None else _told(found)


def _told(found: FolderAnswers) -> list[tuple[str, bytes]]:
    said = ", ".join(f"{plain(label)} {count:,}" for label, count in found.by_answer.items())
    st.markdown(
        _("{images} in {folder}: {said}.").format(
            images=images(found.images), folder=plain(found.folder.name), said=said
        )
    )
    share = percent(found.unsure / found.images if found.images else None)
    notes = [_("not sure: {count} ({share})").format(count=found.unsure, share=share)]
    if found.refused:
        notes.append(counted("{count} file is no image", "{count} files are no images", found.refused))
    st.caption(" · ".join(notes))
    with found.table.open(encoding="utf-8", newline="") as file:
        rows = read_csv(file, _ROWS)
    if found.images + found.refused > len(rows):
        st.caption(_("The first {count} are shown; the CSV file has all.").format(count=f"{len(rows):,}"))
    picked = table(rows, key=f"folder-table-{found.table.name}")
    st.download_button(
        _("Table as CSV"),
        found.table.read_bytes(),
        file_name=f"{found.folder.name or 'folder'} answers.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"folder-csv-{found.table.name}",
    )
    st.caption(_("Pick rows to see them in full and to put them into the project."))
    kept = []
    for at in picked[:_LOOKED_AT]:
        path = found.folder / rows[at].name
        try:
            kept.append((path.name, read_image_file(path, rows[at].name)))
        except ImageRefused as refusal:
            st.warning(plain(str(refusal)))
    return kept
