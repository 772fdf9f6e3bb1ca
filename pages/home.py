"""Home: of the project that the address names; else all projects, and three ways to begin a new one."""

import streamlit as st

from studio.collect import tasks
from studio.curate.items import counts
from studio.datasets.projects import create_project, list_projects
from studio.errors import ProjectError
from studio.i18n import _
from studio.retrain.runs import run_records
from studio.web import home
from studio.web.layout import heading
from studio.web.state import database, enter, named_project, now
from studio.web.text import images, percent, plain

here = named_project()
if here is not None:
    home.draw(here)
    st.stop()
if missing := st.query_params.get("project"):
    st.warning(
        _("There is no project named {name}.").format(name=plain(missing)), icon=":material/search_off:"
    )

heading(
    "Retrain Studio",
    _(
        "Turn your images into a classifier: **collect** them, **curate** the labels, **retrain** a "
        "network, **predict**."
    ),
)

with database().read() as session:
    cards = [
        (project, counts(session, project.id), run_records.newest_accuracy(session, project.id))
        for project in list_projects(session)
    ]

if cards:
    st.subheader(_("Your projects"), anchor=False)
    with st.container(horizontal=True, key="projects"):
        for project, count, accuracy in cards:
            with st.container(border=True, width=260, key=f"project-{project.id}"):
                st.markdown(f"**{plain(project.name)}**")
                classes = len(count.by_class)
                said = _("{images} · {classes} classes").format(images=images(count.total), classes=classes)
                st.caption(said if accuracy is None else f"{said} · {percent(accuracy)}")
                if st.button(
                    _("Open"), key=f"open-{project.id}", width="stretch", icon=":material/folder_open:"
                ):
                    enter(project.name, "home" if count.total else "collect")

st.subheader(_("Begin a new project"), anchor=False)
own, codelab, drawings = st.columns(3)

with own.container(border=True, height="stretch"), st.form("own", border=False, clear_on_submit=True):
    st.markdown(":material/photo_library: **" + _("My own images") + "**")
    st.caption(_("A zip or a folder of class folders, or any image files."))
    name = st.text_input(_("Project name"), placeholder=_("for example: Flowers of my garden"), max_chars=80)
    if st.form_submit_button(_("Create project"), type="primary", width="stretch"):
        try:
            with database().write() as session:
                made = create_project(session, name, now())
        except ProjectError as error:
            st.error(plain(str(error)))
        else:
            enter(made.name, "collect")

with codelab.container(border=True, height="stretch", vertical_alignment="distribute"):
    with st.container():
        st.markdown(":material/local_florist: **" + _("Flower photographs") + "**")
        st.caption(
            _(
                "The 3,670 photographs of the TensorFlow for Poets codelab, in five classes. "
                "Downloads 218 MB; needs internet."
            )
        )
    if st.button(_("Download the flowers"), width="stretch"):
        enter(tasks.begin_with(database(), "ingest_codelab", _("Flowers"), now()), "collect")

with drawings.container(border=True, height="stretch", vertical_alignment="distribute"):
    with st.container():
        st.markdown(":material/draw: **" + _("Drawings") + "**")
        st.caption(
            _("Simple shapes that the program draws on the spot, to try everything at once. Works offline.")
        )
    if st.button(_("Make drawings"), width="stretch"):
        enter(tasks.begin_with(database(), "ingest_drawings", _("Drawings"), now()), "collect")
