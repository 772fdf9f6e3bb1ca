"""Curate: label, correct and reject images, by keyboard, mouse or touch."""

import streamlit as st

from studio.curate.items import counts
from studio.curate.tasks import ANALYSIS_KINDS, survey_soon
from studio.i18n import _
from studio.web.curate import export
from studio.web.curate.component import curating
from studio.web.jobs_panel import ended_badly, watch
from studio.web.layout import go, heading, spread
from studio.web.state import database, now, project

here = project()
with database().read() as session:
    count = counts(session, here.id)
if not count.total:
    heading(_("Curate"), _("Label the images, and look through what they are."), here.name)
    st.info(_("There are no images in this project yet."), icon=":material/photo_library:")
    if st.button(_("Collect images"), type="primary"):
        go("collect", here.name)
    st.stop()

spread(_("Curate"), here.name)
curating(here, key=f"curating-{here.id}")
onwards, looks = st.columns([1, 4], vertical_alignment="center")
if onwards.button(_("Next: retrain"), icon=":material/arrow_forward:", type="primary"):
    go("retrain", here.name)
# The grid hears by itself when the studio has looked through the images; this says how far it is.
survey_soon(database(), here.id, now())
with looks:
    job = watch(here.id, ANALYSIS_KINDS)
    if job is not None and not job.live:
        ended_badly(job)
export.draw(here)
