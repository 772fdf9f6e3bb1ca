"""The Export section of the Share page: choose formats, watch the job, download, compare parity."""

import streamlit as st

from studio.datasets.projects import Project
from studio.errors import StudioError
from studio.i18n import _, counted
from studio.jobs.queue import Job
from studio.retrain.runs.run_records import RunSummary
from studio.settings import settings
from studio.share import tasks
from studio.share.exports.export_format import ExportFormat
from studio.share.exports.formats import EXPORT_FORMATS
from studio.share.exports.parity import Parity
from studio.share.tasks import ModelExport
from studio.web.curate.export import model_export_address
from studio.web.jobs_panel import draw_failure, watch_jobs
from studio.web.state import database, now
from studio.web.text import escape_markdown, format_percent, format_size

_POINTS = 100
_CSS = """
<style>
.st-key-model-exports [data-testid="stMarkdownContainer"] { overflow-x: auto; }
.st-key-model-exports td { white-space: nowrap; font-variant-numeric: tabular-nums; }
</style>
"""


def draw(project: Project, run: RunSummary) -> None:
    """Draw the exports of a finished run and the choice of formats for a new one."""
    st.subheader(_("Export"), anchor=False)
    st.markdown(
        _(
            "Every format uses the same preprocessing, and its parity with this model is measured on the "
            "test images. Each export has a README, a model card and the attribution of the images."
        )
    )
    with st.container():
        job = watch_jobs(project.id, {"export_model"})
    _format_picker(project, run, busy=job is not None and job.live)
    if job is not None:
        _job_errors(job, run)
    exports = tasks.list_model_exports(settings().exports_dir, project.id, run.id)
    if exports:
        _table(project, run, exports)


def _format_picker(project: Project, run: RunSummary, *, busy: bool) -> None:
    chosen = st.pills(
        _("Formats"),
        list(EXPORT_FORMATS),
        selection_mode="multi",
        format_func=lambda name: EXPORT_FORMATS[name].title,
        key=f"export-formats-{project.id}",
    )
    for export_format in map(EXPORT_FORMATS.__getitem__, chosen):
        st.caption(f"**{escape_markdown(export_format.title)}**: {escape_markdown(export_format.purpose)}")
    with st.container(horizontal=True, key="export-model"):
        if st.button(
            _("Export"), type="primary", icon=":material/ios_share:", disabled=busy or not chosen, key="some"
        ):
            _start(project, run, chosen)
        if st.button(_("Export all"), disabled=busy, key="all"):
            _start(project, run, list(EXPORT_FORMATS))


def _start(project: Project, run: RunSummary, names: list[str]) -> None:
    try:
        tasks.enqueue_model_export(database(), project.id, run.id, names, now())
    except StudioError as error:
        st.warning(escape_markdown(str(error)))
    else:
        st.rerun()


def _job_errors(job: Job, run: RunSummary) -> None:
    draw_failure(job)
    result = job.result or {}
    if result.get("run_id") != run.id:
        return
    for name, message in result.get("failed", {}).items():
        title = EXPORT_FORMATS[name].title if name in EXPORT_FORMATS else name
        st.error(f"**{escape_markdown(title)}**: {escape_markdown(message)}", icon=":material/error:")


def _table(project: Project, run: RunSummary, exports: dict[str, ModelExport]) -> None:
    heads = (
        _("Format"),
        "",
        _("Agreement"),
        _("Largest difference"),
        _("Accuracy before → after"),
        _("Size"),
        _("ms an image"),
    )
    rows = [_table_row(project, run, EXPORT_FORMATS[name], export) for name, export in exports.items()]
    rule = ["---", "---", *["---:"] * (len(heads) - 2)]
    st.html(_CSS)
    with st.container(key="model-exports"):
        st.markdown("\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows)))
    test_images = max(export.parity.n for export in exports.values())
    st.caption(
        _(
            "Measured on {images}, one at a time. Agreement: how often the export and the model predict the "
            "same class. Largest difference: of a probability. In brackets: the model's own time. "
            "TensorFlow and Keras use all cores, the others one."
        ).format(images=counted("{count} test image", "{count} test images", test_images))
    )
    for name, export in exports.items():
        if export.parity.loses_accuracy and export.parity.accuracy_loss is not None:
            st.error(
                _(
                    "{format} loses {points} points of accuracy. Choose another format if that matters."
                ).format(
                    format=escape_markdown(EXPORT_FORMATS[name].title),
                    points=f"{export.parity.accuracy_loss * _POINTS:.1f}",
                ),
                icon=":material/trending_down:",
            )
    if st.button(_("Delete these files"), icon=":material/delete:", type="tertiary", key="delete-exports"):
        _delete(project, run, list(exports))


def _table_row(
    project: Project, run: RunSummary, export_format: ExportFormat, export: ModelExport
) -> tuple[str, ...]:
    parity = export.parity
    url = model_export_address(project.id, run.id, export_format.name)
    return (
        escape_markdown(export_format.title),
        f"[{_('Download')}]({url})",
        format_percent(parity.agreement),
        "—"
        if parity.largest_difference is None
        else escape_markdown(_difference_text(parity.largest_difference)),
        _accuracy_text(parity),
        escape_markdown(format_size(parity.size_bytes)),
        "—" if parity.ms is None or parity.ms_before is None else f"{parity.ms:.1f} ({parity.ms_before:.1f})",
    )


def _difference_text(value: float) -> str:
    return _("below 0.00001") if 0 < value < 1e-5 else f"{value:.5f}".rstrip("0").rstrip(".")  # noqa: PLR2004


def _accuracy_text(parity: Parity) -> str:
    text = f"{format_percent(parity.accuracy_before)} → {format_percent(parity.accuracy_after)}"
    return f":red[**{text}**]" if parity.loses_accuracy else text


def _delete(project: Project, run: RunSummary, names: list[str]) -> None:
    try:
        for name in names:
            tasks.remove_model_export(settings().exports_dir, project.id, run.id, name)
    except StudioError as error:
        st.warning(escape_markdown(str(error)))
    else:
        st.rerun()
