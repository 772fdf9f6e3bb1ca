"""Curate: label, correct and reject images, by keyboard, mouse or touch."""

import streamlit as st

from studio.curate.items import count_images
from studio.curate.tasks import ANALYSIS_KINDS, request_image_analysis
from studio.i18n import _
from studio.web.curate import export
from studio.web.curate.component import draw_labelling_grid
from studio.web.jobs_panel import draw_failure, watch_jobs
from studio.web.layout import full_width_heading, open_page, page_heading
from studio.web.state import current_project, database, now

project = current_project()
with database().read() as session:
    count = count_images(session, project.id)
if not count.total:
    page_heading(_("Curate"), _("Label, correct and reject images."), project.name)
    st.info(_("There are no images in this project yet."), icon=":material/photo_library:")
    if st.button(_("Collect images"), type="primary"):
        open_page("collect", project.name)
    st.stop()

full_width_heading(_("Curate"), project.name)
draw_labelling_grid(project, key=f"curating-{project.id}")
next_step, analysis = st.columns([1, 4], vertical_alignment="center")
if next_step.button(_("Next: retrain"), icon=":material/arrow_forward:", type="primary"):
    open_page("retrain", project.name)
# The grid polls for the results of the analysis itself; this shows its progress.
request_image_analysis(database(), project.id, now())
with analysis:
    job = watch_jobs(project.id, ANALYSIS_KINDS)
    if job is not None and not job.live:
        draw_failure(job)
export.draw_export(project)
