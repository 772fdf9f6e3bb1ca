"""Home: the page of the project in the URL; without one, all projects and the forms for a new one."""

import streamlit as st

from studio.collect import tasks
from studio.curate.items import count_images
from studio.datasets.projects import create_project, list_projects
from studio.errors import ProjectError
from studio.i18n import _, counted
from studio.retrain.runs import run_records
from studio.web import home
from studio.web.layout import page_heading
from studio.web.state import database, now, open_project, project_from_url
from studio.web.text import escape_markdown, format_percent, image_count

named = project_from_url()
if named is not None:
    home.draw_project_home(named)
    st.stop()
if missing := st.query_params.get("project"):
    st.warning(
        _("There is no project named {name}.").format(name=escape_markdown(missing)),
        icon=":material/search_off:",
    )

page_heading(
    "Retrain Studio",
    _(
        "Turn your images into a classifier: **collect** them, **curate** the labels, **retrain** a "
        "network, **predict**."
    ),
)

with database().read() as session:
    cards = [
        (project, count_images(session, project.id), run_records.newest_accuracy(session, project.id))
        for project in list_projects(session)
    ]

if cards:
    st.subheader(_("Your projects"), anchor=False)
    with st.container(horizontal=True, key="projects"):
        for project, count, accuracy in cards:
            with st.container(border=True, width=260, key=f"project-{project.id}"):
                st.markdown(f"**{escape_markdown(project.name)}**")
                facts = [
                    image_count(count.total),
                    counted("{count} class", "{count} classes", len(count.by_class)),
                ]
                if accuracy is not None:
                    facts.append(_("test accuracy {accuracy}").format(accuracy=format_percent(accuracy)))
                st.caption(" · ".join(facts))
                if st.button(
                    _("Open"), key=f"open-{project.id}", width="stretch", icon=":material/folder_open:"
                ):
                    open_project(project.name, "home" if count.total else "collect")

st.subheader(_("New project"), anchor=False)
own, codelab, shapes = st.columns(3)

with own.container(border=True, height="stretch"), st.form("own", border=False, clear_on_submit=True):
    st.markdown(":material/photo_library: **" + _("My own images") + "**")
    st.caption(_("Image files, or a folder or archive with one folder per class, such as cats and dogs."))
    name = st.text_input(_("Project name"), placeholder=_("for example: Flowers of my garden"), max_chars=80)
    if st.form_submit_button(_("Create project"), type="primary", width="stretch"):
        try:
            with database().write() as session:
                created = create_project(session, name, now())
        except ProjectError as error:
            st.error(escape_markdown(str(error)))
        else:
            open_project(created.name, "collect")

with codelab.container(border=True, height="stretch", vertical_alignment="distribute"):
    with st.container():
        st.markdown(":material/local_florist: **" + _("Flower images") + "**")
        st.caption(
            _("The 3,670 images of the TensorFlow for Poets codelab, in five classes. Downloads 218 MB.")
        )
    if st.button(_("Download flower images"), width="stretch"):
        open_project(
            tasks.create_project_with_samples(database(), "ingest_codelab", _("Flowers"), now()), "collect"
        )

with shapes.container(border=True, height="stretch", vertical_alignment="distribute"):
    with st.container():
        st.markdown(":material/draw: **" + _("Sample shapes") + "**")
        st.caption(_("Generated images of simple shapes, to try all pages in two minutes. Works offline."))
    if st.button(_("Create sample shapes"), width="stretch"):
        open_project(
            tasks.create_project_with_samples(database(), "ingest_drawings", _("Sample shapes"), now()),
            "collect",
        )
