"""The table of predictions with its CSV file, and the prediction of all images of a folder."""

import io
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from studio.datasets.projects import Project
from studio.errors import ImageRefused, StudioError
from studio.i18n import _, counted
from studio.images.decode import read_image_file
from studio.predict.batch import PredictionRow, read_csv, write_csv
from studio.predict.tasks import FolderPredictions, enqueue_folder_prediction, folder_predictions
from studio.settings import settings
from studio.web.jobs_panel import draw_failure, watch_jobs
from studio.web.state import database, now
from studio.web.text import escape_markdown, format_percent, image_count

_MAX_ROWS = 5_000
_MAX_SELECTED = 4
"""Number of selected images of a folder that are drawn with their explanations."""


def draw_table(rows: Sequence[PredictionRow], *, key: str) -> list[int]:
    """Draw predictions as a table; return the indices of the selected rows."""
    event = st.dataframe(
        [
            {
                _("File"): row.name,
                _("Prediction"): row.label or "—",
                _("Confidence"): row.probability,
                _("Result"): _result_text(row),
                _("Second class"): row.second_label,
            }
            for row in rows
        ],
        key=key,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        column_config={
            _("Confidence"): st.column_config.ProgressColumn(
                format="percent", min_value=0.0, max_value=1.0, width="small"
            )
        },
    )
    return list(event.selection.rows)


def to_csv(rows: Sequence[PredictionRow]) -> bytes:
    """Return predictions as a CSV file in UTF-8."""
    text = io.StringIO()
    write_csv(rows, text)
    return text.getvalue().encode("utf-8")


def draw_folder(project: Project, run_id: int) -> list[tuple[str, bytes]]:
    """Draw the form that predicts a folder of this computer, and the predictions of the last folder.

    Return the selected files: name and bytes of each.
    """
    with st.form(f"folder-{project.id}", border=False):
        row = st.container(horizontal=True, vertical_alignment="bottom")
        path = row.text_input(_("Folder on this computer"), key=f"folder-path-{project.id}")
        submitted = row.form_submit_button(_("Predict all"), icon=":material/folder_open:")
    if submitted and path.strip():
        try:
            enqueue_folder_prediction(database(), project.id, run_id, Path(path.strip()), now())
        except StudioError as error:
            st.error(escape_markdown(str(error)), icon=":material/error:")
    job = watch_jobs(project.id, {"answer_folder"})
    if job is None:
        st.caption(_("Predicts every image in the folder and its subfolders. Files are not changed."))
        return []
    draw_failure(job)
    predictions = folder_predictions(settings().answers_dir, job)
    return [] if predictions is None else _draw_folder_predictions(predictions)


def _draw_folder_predictions(predictions: FolderPredictions) -> list[tuple[str, bytes]]:
    counts = ", ".join(f"{escape_markdown(label)} {count:,}" for label, count in predictions.by_label.items())
    st.markdown(
        _("{images} in {folder}: {counts}.").format(
            images=image_count(predictions.images),
            folder=escape_markdown(predictions.folder.name),
            counts=counts,
        )
    )
    share = format_percent(predictions.abstained / predictions.images if predictions.images else None)
    notes = [_("not sure: {count} ({share})").format(count=predictions.abstained, share=share)]
    if predictions.skipped:
        notes.append(counted("{count} file skipped", "{count} files skipped", predictions.skipped))
    st.caption(" · ".join(notes))
    with predictions.table.open(encoding="utf-8", newline="") as file:
        rows = read_csv(file, _MAX_ROWS)
    if predictions.images + predictions.skipped > len(rows):
        st.caption(
            _("The first {count} rows are shown; the CSV file has all.").format(count=f"{len(rows):,}")
        )
    selected = draw_table(rows, key=f"folder-table-{predictions.table.name}")
    st.download_button(
        _("Download table (CSV)"),
        predictions.table.read_bytes(),
        file_name=f"{predictions.folder.name or 'folder'} answers.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"folder-csv-{predictions.table.name}",
    )
    st.caption(_("Select rows to see the images and to add them to the project."))
    files = []
    for index in selected[:_MAX_SELECTED]:
        path = predictions.folder / rows[index].name
        try:
            files.append((path.name, read_image_file(path, rows[index].name)))
        except ImageRefused as refusal:
            st.warning(escape_markdown(str(refusal)))
    return files


def _result_text(row: PredictionRow) -> str:
    if row.skip_message:
        return row.skip_message
    return {
        None: _("sure"),
        "low_confidence": _("not sure"),
        "out_of_distribution": _("unlike the training images"),
    }[row.abstention]
