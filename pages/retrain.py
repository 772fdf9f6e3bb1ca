"""Retrain: one button, live curves, and what the test images say."""

import streamlit as st

from studio.collect.tasks import IMPORT_KINDS
from studio.curate.items import counts
from studio.i18n import _
from studio.retrain.runs import run_records
from studio.retrain.snapshot import LEAST_CLASSES
from studio.web.jobs_panel import ended_badly, watch
from studio.web.layout import go, heading
from studio.web.retrain import form
from studio.web.retrain.component import retraining
from studio.web.state import database, project
from studio.web.text import images

here = project()
heading(
    _("Retrain"),
    _("Teach a pretrained network your classes. It goes on if you close the browser."),
    here.name,
)
with database().read() as session:
    count = counts(session, here.id)
    newest = run_records.runs(session, here.id)[:1]

filled = sum(map(bool, count.by_class.values()))
# What comes and goes has a place of its own, so that neither the form nor the curves are built anew with it.
with st.container():
    job = watch(here.id, {"retrain", "measure_backbones"})
    stamp = "" if job is None else f"{job.id} {job.state}"
    busy = job is not None and job.live
    if not busy:
        st.markdown(
            _("{images} in {classes} classes are labelled.").format(
                images=images(count.labelled), classes=filled
            )
        )
form.draw(here, count, stamp, hidden=busy)
with st.container():
    if not busy and filled < LEAST_CLASSES:
        watch(here.id, IMPORT_KINDS)  # they may be on their way
        st.info(_("Retraining needs at least two classes with images."), icon=":material/info:")
        if st.button(_("Collect images")):
            go("collect", here.name)
    if job is not None:
        ended_badly(job)

retraining(here, stamp=stamp, key=f"retraining-{here.id}")
if any(run.evaluation is not None for run in newest) and st.button(
    _("Next: predict"), icon=":material/arrow_forward:", type="primary"
):
    go("predict", here.name)
