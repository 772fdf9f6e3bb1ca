"""The choice of a run with a model, for the pages Predict and Share."""

from collections.abc import Sequence

import streamlit as st

from studio.datasets.projects import Project
from studio.i18n import _
from studio.retrain.runs import run_records
from studio.retrain.runs.run_records import RunSummary
from studio.web.layout import open_page
from studio.web.state import database
from studio.web.text import format_datetime, format_percent


def finished_runs(project: Project) -> Sequence[RunSummary]:
    """Return a project's runs that have a model, the newest first. Stop the page if there is none."""
    with database().read() as session:
        finished = [run for run in run_records.list_runs(session, project.id) if run.evaluation is not None]
    if not finished:
        st.info(_("This project has no trained model. Train one first."), icon=":material/model_training:")
        if st.button(_("Retrain"), type="primary"):
            open_page("retrain", project.name)
        st.stop()
    return finished


def run_title(run: RunSummary) -> str:
    """Return a run's title in the choice: its name, start and accuracy."""
    accuracy = None if run.evaluation is None else run.evaluation.accuracy
    return " · ".join(filter(None, (run.name, format_datetime(run.created_at), format_percent(accuracy))))
