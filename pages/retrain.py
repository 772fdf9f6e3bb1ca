"""Retrain: train a model with one button; live curves, runs and test results."""

import streamlit as st

from studio.collect.tasks import IMPORT_KINDS
from studio.curate.items import count_images
from studio.i18n import _, counted
from studio.retrain.runs import run_records
from studio.retrain.snapshot import MIN_CLASSES
from studio.web.jobs_panel import draw_failure, watch_jobs
from studio.web.layout import open_page, page_heading
from studio.web.retrain import form
from studio.web.retrain.component import draw_runs
from studio.web.state import current_project, database
from studio.web.text import image_count

project = current_project()
page_heading(
    _("Retrain"),
    _("Train a pretrained network on your classes; training continues when you close the browser."),
    project.name,
)
with database().read() as session:
    count = count_images(session, project.id)
    newest = run_records.list_runs(session, project.id)[:1]

non_empty = sum(map(bool, count.by_class.values()))
# One container for what appears and disappears, so that Streamlit does not rebuild the form and the curves.
with st.container():
    job = watch_jobs(project.id, {"retrain", "measure_backbones"})
    stamp = "" if job is None else f"{job.id} {job.state}"
    busy = job is not None and job.live
    if not busy:
        st.markdown(
            _("{images} labelled in {classes}.").format(
                images=image_count(count.labelled),
                classes=counted("{count} class", "{count} classes", non_empty),
            )
        )
form.draw_form(project, count, stamp, hidden=busy)
with st.container():
    if not busy and non_empty < MIN_CLASSES:
        watch_jobs(project.id, IMPORT_KINDS)  # images may be arriving
        st.info(_("Retraining needs at least two classes with images."), icon=":material/info:")
        if st.button(_("Collect images")):
            open_page("collect", project.name)
    if job is not None:
        draw_failure(job)

draw_runs(project, stamp=stamp, key=f"runs-{project.id}")
if any(run.evaluation is not None for run in newest) and st.button(
    _("Next: predict"), icon=":material/arrow_forward:", type="primary"
):
    open_page("predict", project.name)
