"""State that pages share: the database, the image store, the clock, the current project."""

from datetime import UTC, datetime

import streamlit as st
from sqlalchemy.orm import Session

from db.engine import Database
from studio.data import open_database
from studio.datasets.projects import Project, find_project, list_projects
from studio.i18n import _
from studio.images.store import ImageStore
from studio.settings import settings
from studio.web.layout import open_page, page_link

_KEY = "project"
_IDS_KEY = "project-ids"
"""The ids of the projects that a session has opened, by the names that they had."""


@st.cache_resource(show_spinner=False)
def database() -> Database:
    """Return the server's database."""
    return open_database(settings())


def store() -> ImageStore:
    """Return the image store."""
    return ImageStore(settings().images_dir)


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def open_project(name: str, page: str) -> None:
    """Make a project the current one and open one of its pages."""
    st.session_state[_KEY] = name
    open_page(page, name)


def project_from_url() -> Project | None:
    """Return the project in the URL and make it the current one; None where the URL names none."""
    with database().read() as session:
        found = _find_project(session, st.query_params.get(_KEY, ""))
    if found is not None:
        _remember(found)
    return found


def current_project() -> Project:
    """Return the project in the URL, else the one of the session; stop the page where there is none.

    The project is written into the URL, so that a link or a reload opens it again.
    """
    name = st.query_params.get(_KEY) or st.session_state.get(_KEY)
    with database().read() as session:
        found = _find_project(session, name) if name else None
        if found is None:
            everything = list_projects(session)
            found = everything[0] if len(everything) == 1 and not name else None
    if found is None:
        problem = _("There is no project of that name.") if name else _("No project is open.")
        st.info(problem + " " + _("Open or create a project on Home."), icon=":material/home:")
        page_link("home", _("Go to Home"))
        st.stop()
    _remember(found)
    return found


def _find_project(session: Session, name: str) -> Project | None:
    """Return the project of this name; else the project that had it when this session opened it."""
    found = find_project(session, name)
    project_id = st.session_state.get(_IDS_KEY, {}).get(name)
    if found is None and project_id is not None:
        found = next((each for each in list_projects(session) if each.id == project_id), None)
    return found


def _remember(project: Project) -> None:
    """Make a project the session's current one, and write it into the URL."""
    st.session_state[_KEY] = project.name
    st.session_state.setdefault(_IDS_KEY, {})[project.name] = project.id
    if st.query_params.get(_KEY) != project.name:
        st.query_params[_KEY] = project.name
