"""What the pages share: the database, the image store, the project that a person is in."""

from datetime import UTC, datetime

import streamlit as st

from db.engine import Database
from studio.data import open_database
from studio.datasets.projects import Project, find_project, list_projects
from studio.i18n import _
from studio.images.store import ImageStore
from studio.settings import settings
from studio.web.layout import go, page_link

_KEY = "project"


@st.cache_resource(show_spinner=False)
def database() -> Database:
    """Return the server's one database."""
    return open_database(settings())


def store() -> ImageStore:
    """Return where the images are."""
    return ImageStore(settings().images_dir)


def now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)


def enter(name: str, room: str) -> None:
    """Open a room of a project."""
    st.session_state[_KEY] = name
    go(room, name)


def named_project() -> Project | None:
    """Return the project that the address names, and remember it for the rooms; None where it names none."""
    with database().read() as session:
        found = find_project(session, st.query_params.get(_KEY, ""))
    if found is not None:
        st.session_state[_KEY] = found.name
    return found


def project() -> Project:
    """Return the project that the address names, or else the one a person was in; stop the page without.

    The address is made to name it, so that a link or a reload comes back to it.
    """
    name = st.query_params.get(_KEY) or st.session_state.get(_KEY)
    with database().read() as session:
        found = find_project(session, name) if name else None
        if found is None:
            everything = list_projects(session)
            found = everything[0] if len(everything) == 1 and not name else None
    if found is None:
        missing = _("There is no project of that name.") if name else _("No project is open.")
        st.info(missing + " " + _("Choose one at Home, or begin a new one there."), icon=":material/home:")
        page_link("home", _("Go to Home"))
        st.stop()
    st.session_state[_KEY] = found.name
    if st.query_params.get(_KEY) != found.name:
        st.query_params[_KEY] = found.name
    return found
