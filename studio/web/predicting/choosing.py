"""Which run answers, and beside which other one."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from studio.collect.projects import Project
from studio.errors import StudioError
from studio.language import _
from studio.predict.measuring import measured
from studio.progress import Silent
from studio.retrain.runs.project_runs import RunSummary
from studio.settings import settings
from studio.web.finished_runs import finished_runs, run_title
from studio.web.predicting.opened import opened
from studio.web.words import plain


def chosen(here: Project) -> tuple[Sequence[RunSummary], Sequence[tuple[str, Path]]]:
    """Draw the choice; return one run or two, and of each a title and its folder. Stops the page without."""
    finished = finished_runs(here)
    runs = [finished[0]]
    if len(finished) > 1:
        left, right = st.columns(2)
        runs = [left.selectbox(_("Model"), finished, format_func=run_title)]
        others = [run for run in finished if run.id != runs[0].id]
        beside = right.selectbox(
            _("Beside it"), others, index=None, placeholder=_("no other model"), format_func=run_title
        )
        runs += [] if beside is None else [beside]
    models = [(run_title(run), settings().runs_dir / run.folder) for run in runs]
    for _said, run_dir in models:
        _measure(run_dir)
    return runs, models


def _measure(run_dir: Path) -> None:
    """Set the sureness of a run that an older studio has made."""
    if opened(run_dir).sureness is not None or run_dir in _unmeasurable():
        return
    with st.spinner(_("Measuring how sure this model may be. This is done once.")):
        try:
            found = measured(
                run_dir,
                settings().bottleneck_dir,
                threads=settings().threads_used,
                progress=Silent(),
            )
        except (StudioError, ValueError, OSError) as error:
            _unmeasurable().add(run_dir)
            st.warning(plain(str(error)))
            return
    if found.costs is None:
        _unmeasurable().add(run_dir)


@st.cache_resource(show_spinner=False)
def _unmeasurable() -> set[Path]:
    """Return the runs that were tried in vain, so that it is not tried at every step."""
    return set()
