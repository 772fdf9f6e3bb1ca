"""Collect: bring images into the project."""

from pathlib import Path

import streamlit as st

from studio.collect import tasks
from studio.collect.tasks import IMPORT_KINDS
from studio.curate.items import counts
from studio.i18n import _
from studio.web.collect import results, sections
from studio.web.collect.camera import camera
from studio.web.collect.uploader import uploader
from studio.web.home import bars
from studio.web.jobs_panel import watch
from studio.web.layout import go, heading
from studio.web.state import database, now, project
from studio.web.text import images, plain

here = project()
heading(
    _("Collect"),
    _("Bring in images from wherever they are. Nothing is counted twice, and each keeps its provenance."),
    here.name,
)
# What comes and goes has one place. Otherwise all below moves with it, and Streamlit may build it anew: a
# camera goes off then, and text that is half typed is lost.
with st.container():
    job = watch(here.id, IMPORT_KINDS, draw=results.so_far)
    if job is not None and not job.live:
        results.ended(job)
with database().read() as session:
    count = counts(session, here.id)

class_name = st.selectbox(
    _("Class for what is brought in"),
    list(count.by_class),
    index=None,
    placeholder=_("none: folders become classes, the rest is labelled later; or type a new class"),
    accept_new_options=True,
    key=f"class-{here.id}",
)
files, crawl, search, addresses, burst, path = st.tabs(
    [
        _("Files and folders"),
        _("Web pages"),
        _("Search"),
        _("Addresses"),
        _("Camera"),
        _("On this machine"),
    ],
    key="ways",
)
with files:
    uploader(here.id, class_name, key=f"uploader-{here.id}")
with crawl:
    sections.crawl_section(here.id, class_name)
with search:
    sections.search_section(here.id, class_name)
with addresses:
    sections.list_section(here.id, class_name)
with burst:
    camera(here.id, class_name, key=f"camera-{here.id}")
with path, st.form("path", border=False):
    place = st.text_input(
        _("Folder or archive, as this machine names it"),
        placeholder=str(Path.home() / "Images" / "flowers"),
    )
    if st.form_submit_button(_("Bring it in"), type="primary"):
        found = Path(place.strip().strip('"')).expanduser()
        if not place.strip():
            st.warning(_("Type the folder's or the archive's place first."))
        elif not found.exists():
            st.error(
                _(
                    "expected a folder or an archive on this machine; {path} is not there. "
                    "Check the spelling."
                ).format(path=plain(str(found)))
            )
        else:
            tasks.ingest_path(database(), here.id, found, class_name, now())
            st.rerun()

if count.total:
    st.subheader(_("So far"), anchor=False)
    st.markdown(
        _("{total}: {labelled} labelled, {unlabelled} unlabelled, {rejected} rejected.").format(
            total=images(count.total),
            labelled=f"{count.labelled:,}",
            unlabelled=f"{count.unlabelled:,}",
            rejected=f"{count.rejected:,}",
        )
    )
    if count.by_class:
        chart = bars(count.by_class, dark=st.context.theme.type == "dark")
        st.altair_chart(chart, alt=_("Images in each class"))
    results.provenance(here.id, here.name)
    if st.button(_("Next: curate"), icon=":material/arrow_forward:", type="primary"):
        go("curate", here.name)
elif job is None or not job.live:
    st.info(_("No images yet. Whatever you bring in appears here by class."), icon=":material/photo_library:")
