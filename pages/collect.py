"""Collect: add images to the project."""

from pathlib import Path

import streamlit as st

from studio.collect import tasks
from studio.collect.tasks import IMPORT_KINDS
from studio.curate.items import count_images
from studio.i18n import _
from studio.web.collect import results, sections
from studio.web.collect.camera import draw_camera
from studio.web.collect.uploader import draw_uploader
from studio.web.home import bar_chart
from studio.web.jobs_panel import watch_jobs
from studio.web.layout import open_page, page_heading
from studio.web.state import current_project, database, now
from studio.web.text import escape_markdown, image_count

project = current_project()
page_heading(
    _("Collect"),
    _("Add images from files, web pages, a search or a camera; each keeps its source and licence."),
    project.name,
)
# One container for what appears and disappears. Otherwise the elements below move, and Streamlit may rebuild
# them: a camera turns off then, and half-typed text is lost.
with st.container():
    job = watch_jobs(project.id, IMPORT_KINDS, draw=results.draw_progress)
    if job is not None and not job.live:
        results.draw_outcome(job)
with database().read() as session:
    count = count_images(session, project.id)

class_name = st.selectbox(
    _("Class for these images (optional)"),
    list(count.by_class),
    index=None,
    placeholder=_("Use folder names, or type a class"),
    accept_new_options=True,
    key=f"class-{project.id}",
)
files_tab, crawl_tab, search_tab, urls_tab, camera_tab, path_tab = st.tabs(
    [
        _("Files and folders"),
        _("Web pages"),
        _("Search"),
        _("URLs"),
        _("Camera"),
        _("On this computer"),
    ],
    key="sources",
)
with files_tab:
    draw_uploader(project.id, class_name, key=f"uploader-{project.id}")
with crawl_tab:
    sections.draw_crawl_form(project.id, class_name)
with search_tab:
    sections.draw_search(project.id, class_name)
with urls_tab:
    sections.draw_url_list_form(project.id, class_name)
with camera_tab:
    draw_camera(project.id, class_name, key=f"camera-{project.id}")
with path_tab, st.form("path", border=False):
    typed = st.text_input(
        _("Path of a folder or archive on this computer"),
        placeholder=str(Path.home() / "Images" / "flowers"),
    )
    if st.form_submit_button(_("Import"), type="primary"):
        path = Path(typed.strip().strip('"')).expanduser()
        if not typed.strip():
            st.warning(_("Type the path of a folder or an archive first."))
        elif not path.exists():
            st.error(
                _(
                    "expected a folder or an archive on this computer; {path} does not exist. "
                    "Check the spelling."
                ).format(path=escape_markdown(str(path)))
            )
        else:
            tasks.start_ingest_path(database(), project.id, path, class_name, now())
            st.rerun()

if count.total:
    st.subheader(_("In this project"), anchor=False)
    st.markdown(
        _("{total}: {labelled} labelled, {unlabelled} unlabelled, {rejected} rejected.").format(
            total=image_count(count.total),
            labelled=f"{count.labelled:,}",
            unlabelled=f"{count.unlabelled:,}",
            rejected=f"{count.rejected:,}",
        )
    )
    if count.by_class:
        chart = bar_chart(count.by_class, dark=st.context.theme.type == "dark")
        st.altair_chart(chart, alt=_("Images in each class"))
    results.draw_downloads(project.id, project.name)
    if st.button(_("Next: curate"), icon=":material/arrow_forward:", type="primary"):
        open_page("curate", project.name)
elif job is None or not job.live:
    st.info(
        _("No images yet. Images that you add are counted here by class."), icon=":material/photo_library:"
    )
