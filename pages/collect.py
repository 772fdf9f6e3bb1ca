"""Collect: bring pictures into the project."""

from pathlib import Path

import streamlit as st

from studio.curate.grid import counts
from studio.jobs import requests
from studio.jobs.kinds import INGESTING
from studio.language import _
from studio.settings import settings
from studio.web.charts import balance
from studio.web.jobs_panel import ended_badly, watch
from studio.web.look import heading
from studio.web.rooms import go
from studio.web.state import database, now, project
from studio.web.uploads import keep
from studio.web.words import pictures, plain

here = project()
heading(
    _("Collect"),
    _("Bring in pictures. Folders become classes; files without a folder wait for a label."),
    here.name,
)
job = watch(here.id, INGESTING)
with database().read() as session:
    count = counts(session, here.id)

if job is not None and not job.live:
    ended_badly(job)
    if job.result is not None:
        said = _("{added} added, {copies} already there, {refused} refused.").format(
            added=f"{job.result['added']:,}",
            copies=f"{job.result['copies']:,}",
            refused=f"{job.result['refused_count']:,}",
        )
        st.success(said, icon=":material/check_circle:")
        if job.result["refused"]:
            with st.expander(_("Files that were refused, and why")):
                st.dataframe(
                    {
                        _("file"): [refusal["name"] for refusal in job.result["refused"]],
                        _("reason"): [refusal["reason"] for refusal in job.result["refused"]],
                    },
                    hide_index=True,
                    width="stretch",
                )

busy = job is not None and job.live
files_tab, folder_tab, path_tab = st.tabs(
    [_("Files or an archive"), _("A folder"), _("A place on this machine")], key="ways"
)
turn = st.session_state.setdefault("upload_turn", 0)
files_label = _("Drop pictures, or a .zip, .tar or .tgz of class folders")
with files_tab:
    class_name = st.selectbox(
        _("Class for pictures that are in no folder"),
        list(count.by_class),
        index=None,
        placeholder=_("none: label them later; or type a new class"),
        accept_new_options=True,
    )
    dropped = st.file_uploader(files_label, accept_multiple_files=True, key=f"files-{turn}")
with folder_tab:
    folder = st.file_uploader(
        _("Drop a folder of class folders"), accept_multiple_files="directory", key=f"folder-{turn}"
    )
asked = [
    tab.button(_("Bring in"), type="primary", disabled=not files, key=f"bring-{name}")
    for tab, name, files in ((files_tab, "files", dropped), (folder_tab, "folder", folder))
]
if any(asked):
    kept = keep([*dropped, *folder], settings().uploads_dir)
    requests.ingest_uploads(database(), here.id, kept, class_name, now())
    st.session_state["upload_turn"] += 1
    st.rerun()
with path_tab, st.form("path", border=False):
    place = st.text_input(
        _("Folder or archive, as this machine names it"),
        placeholder=str(Path.home() / "Pictures" / "flowers"),
    )
    if st.form_submit_button(_("Bring it in"), type="primary"):
        path = Path(place.strip().strip('"')).expanduser()
        if not place.strip():
            st.warning(_("Type the folder's or the archive's place first."))
        elif not path.exists():
            st.error(
                _(
                    "expected a folder or an archive on this machine; {path} is not there. "
                    "Check the spelling."
                ).format(path=plain(str(path)))
            )
        else:
            requests.ingest_path(database(), here.id, path, now())
            st.rerun()

if count.total:
    st.subheader(_("So far"), anchor=False)
    st.markdown(
        _("{total}: {labelled} labelled, {unlabelled} unlabelled, {rejected} rejected.").format(
            total=pictures(count.total),
            labelled=f"{count.labelled:,}",
            unlabelled=f"{count.unlabelled:,}",
            rejected=f"{count.rejected:,}",
        )
    )
    if count.by_class:
        st.altair_chart(balance(count.by_class), alt=_("Pictures in each class"))
    if st.button(_("Next: curate"), icon=":material/arrow_forward:", type="secondary" if busy else "primary"):
        go("curate", here.name)
elif not busy:
    st.info(
        _("No pictures yet. Whatever you bring in appears here by class."), icon=":material/photo_library:"
    )
