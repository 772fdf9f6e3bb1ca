"""The part of a page where a model is exported: which forms, how far it is, and how near each came."""

import streamlit as st

from studio.datasets.projects import Project
from studio.errors import StudioError
from studio.i18n import _, counted
from studio.jobs.queue import Job
from studio.retrain.runs.run_records import RunSummary
from studio.settings import settings
from studio.share import tasks
from studio.share.exports.format import Format
from studio.share.exports.formats import FORMATS
from studio.share.exports.parity import Parity
from studio.share.tasks import ModelExport
from studio.web.curate.export import model_export_address
from studio.web.jobs_panel import ended_badly, watch
from studio.web.state import database, now
from studio.web.text import file_size, percent, plain

_POINTS = 100
_CSS = """
<style>
.st-key-model-exports [data-testid="stMarkdownContainer"] { overflow-x: auto; }
.st-key-model-exports td { white-space: nowrap; font-variant-numeric: tabular-nums; }
</style>
"""


def draw(here: Project, run: RunSummary) -> None:
    """Draw the exports of a finished run, and the form that asks for more."""
    st.subheader(_("Export"), anchor=False)
    st.markdown(
        _(
            "Every form answers with the same pixels, and is measured against this model on its test "
            "images before it is handed out. With each come a README, a model card, and whose the "
            "images are."
        )
    )
    with st.container():
        job = watch(here.id, {"export_model"})
    _form(here, run, busy=job is not None and job.live)
    if job is not None:
        _ended(job, run)
    found = tasks.model_exports(settings().exports_dir, here.id, run.id)
    if found:
        _table(here, run, found)


def _form(here: Project, run: RunSummary, *, busy: bool) -> None:
    chosen = st.pills(
        _("Forms"),
        list(FORMATS),
        selection_mode="multi",
        format_func=lambda name: FORMATS[name].title,
        key=f"forms-{here.id}",
    )
    for name in chosen:
        st.caption(f"**{plain(FORMATS[name].title)}**: {plain(FORMATS[name].what_for)}")
    with st.container(horizontal=True, key="export-model"):
        if st.button(
            _("Export"), type="primary", icon=":material/ios_share:", disabled=busy or not chosen, key="some"
        ):
            _ask(here, run, chosen)
        if st.button(_("All of them"), disabled=busy, key="all"):
            _ask(here, run, list(FORMATS))


def _ask(here: Project, run: RunSummary, names: list[str]) -> None:
    try:
        tasks.export_model(database(), here.id, run.id, names, now())
    except StudioError as error:
        st.warning(plain(str(error)))
    else:
        st.rerun()


def _ended(job: Job, run: RunSummary) -> None:
    ended_badly(job)
    result = job.result or {}
    if result.get("run_id") != run.id:
        return
    for name, why in result.get("failed", {}).items():
        title = FORMATS[name].title if name in FORMATS else name
        st.error(f"**{plain(title)}**: {plain(why)}", icon=":material/error:")


def _table(here: Project, run: RunSummary, found: dict[str, ModelExport]) -> None:
    heads = (
        _("Form"),
        "",
        _("Agrees"),
        _("Largest difference"),
        _("Accuracy before → after"),
        _("Size"),
        _("ms an image"),
    )
    rows = [_row(here, run, FORMATS[name], export) for name, export in found.items()]
    rule = ["---", "---", *["---:"] * (len(heads) - 2)]
    st.html(_CSS)
    with st.container(key="model-exports"):
        st.markdown("\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows)))
    asked = max(export.parity.n for export in found.values())
    st.caption(
        _(
            "On {images} that the model was not trained on, one at a time: how often both name the same "
            "class, and how far a probability is apart at most. In brackets: the time of the model itself. "
            "TensorFlow and Keras use all cores, the others one."
        ).format(images=counted("{count} test image", "{count} test images", asked))
    )
    for name, export in found.items():
        if export.parity.loses_much and export.parity.lost is not None:
            st.error(
                _("{form} loses {points} points of accuracy. Choose another form if that matters.").format(
                    form=plain(FORMATS[name].title), points=f"{export.parity.lost * _POINTS:.1f}"
                ),
                icon=":material/trending_down:",
            )
    if st.button(_("Delete these files"), icon=":material/delete:", type="tertiary", key="delete-exports"):
        _remove(here, run, found)


def _row(here: Project, run: RunSummary, form: Format, export: ModelExport) -> tuple[str, ...]:
    parity = export.parity
    address = model_export_address(here.id, run.id, form.name)
    return (
        plain(form.title),
        f"[{_('Download')}]({address})",
        percent(parity.agreement),
        "—" if parity.largest_difference is None else plain(_difference(parity.largest_difference)),
        _accuracy(parity),
        plain(file_size(parity.size_bytes)),
        "—" if parity.ms is None or parity.ms_before is None else f"{parity.ms:.1f} ({parity.ms_before:.1f})",
    )


def _difference(value: float) -> str:
    return _("below 0.00001") if 0 < value < 1e-5 else f"{value:.5f}".rstrip("0").rstrip(".")  # noqa: PLR2004


def _accuracy(parity: Parity) -> str:
    said = f"{percent(parity.accuracy_before)} → {percent(parity.accuracy_after)}"
    return f":red[**{said}**]" if parity.loses_much else said


def _remove(here: Project, run: RunSummary, found: dict[str, ModelExport]) -> None:
    try:
        for name in found:
            tasks.remove_model_export(settings().exports_dir, here.id, run.id, name)
    except StudioError as error:
        st.warning(plain(str(error)))
    else:
        st.rerun()
