"""The runs of a project that have a model, for the pages that begin with choosing one."""

from collections.abc import Sequence

import streamlit as st

from studio.datasets.projects import Project
from studio.i18n import _
from studio.retrain.runs import run_records
from studio.retrain.runs.run_records import RunSummary
from studio.web.layout import go
from studio.web.state import database
from studio.web.text import moment, percent


def finished_runs(here: Project) -> Sequence[RunSummary]:
    """Return them, the newest first. Where there is none yet, say so and stop the page."""
    with database().read() as session:
        finished = [run for run in run_records.runs(session, here.id) if run.evaluation is not None]
    if not finished:
        st.info(_("There is no trained model in this project yet."), icon=":material/model_training:")
        if st.button(_("Retrain"), type="primary"):
            go("retrain", here.name)
        st.stop()
    return finished


def run_title(run: RunSummary) -> str:
    """Return what a run is called where one is chosen: its name, when it was, how right it is."""
    accuracy = None if run.evaluation is None else run.evaluation.accuracy
    return " · ".join(filter(None, (run.name, moment(run.created_at), percent(accuracy))))
