"""The studio's look beyond the theme, and the heading that every page begins with."""

from collections.abc import Mapping
from typing import NoReturn

import streamlit as st
from streamlit.navigation.page import Page

from studio.files import APP_DIR
from studio.i18n import _
from studio.web.text import plain

_PAGES_DIR = APP_DIR / "pages"


def pages() -> dict[str, Page]:
    """Return the pages by name, in the order of the work."""
    titles = {
        "home": (_("Home"), ":material/home:"),
        "collect": (_("Collect"), ":material/add_photo_alternate:"),
        "curate": (_("Curate"), ":material/grid_view:"),
        "retrain": (_("Retrain"), ":material/model_training:"),
        "predict": (_("Predict"), ":material/center_focus_strong:"),
        "share": (_("Share"), ":material/ios_share:"),
    }
    return {
        name: st.Page(_PAGES_DIR / f"{name}.py", title=title, icon=icon, default=name == "home")
        for name, (title, icon) in titles.items()
    }


def go(room: str, project: str) -> NoReturn:
    """Leave for another room of the same project."""
    st.switch_page(pages()[room], query_params={"project": project})


def page_link(
    room: str,
    label: str,
    project: str | None = None,
    *,
    icon: str | None = None,
    asking: Mapping[str, str] | None = None,
) -> None:
    """Draw a link to a room. asking: more of what the address is to say, such as a filter."""
    named = {"project": project} if project else {}
    st.page_link(pages()[room], label=label, icon=icon, query_params={**named, **(asking or {})})


_CSS = """
<style>
.stMainBlockContainer { max-width: 72rem; padding-top: 4.5rem; }
.stHeading h1 { letter-spacing: -0.02em; padding: 0 0 0.4rem; }
.st-key-project-link { margin: 0 0 -0.6rem -0.5rem; }
.st-key-project-home .stHeading h3 { font-size: 1.2rem; padding-bottom: 0.2rem; }
.st-key-figures > * { flex: 1 1 8rem; }
.st-key-figures [data-testid="stMetricValue"] { font-size: 1.7rem; font-variant-numeric: tabular-nums; }
@media (max-width: 640px) { .stMainBlockContainer { padding-left: 1rem; padding-right: 1rem; } }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
</style>
"""
_SPREAD = """
<style>
.stMainBlockContainer { max-width: none; padding: 4rem 1.5rem 1rem; }
.stMainBlockContainer > .stVerticalBlock { gap: 0.6rem; }
.stMainBlockContainer .stHeading h1 { font-size: 1.35rem; padding: 0; }
@media (max-width: 640px) { .stMainBlockContainer { padding: 3.75rem 0.75rem 0.75rem; } }
</style>
"""


def dress() -> None:
    """Add the little that the theme cannot say."""
    st.html(_CSS)


def heading(title: str, about: str, project: str | None = None) -> None:
    """Draw a page's title, the project that is open as the way to its home, and what is done here."""
    if project:
        with st.container(key="project-link"):
            page_link("home", plain(project), project, icon=":material/folder:")
    st.title(title, anchor=False)
    st.markdown(about)


def spread(title: str, project: str) -> None:
    """Draw a page's title and its project in one line, and let the page be as large as the window."""
    st.html(_SPREAD)
    with st.container(horizontal=True, vertical_alignment="center", key="spread"):
        st.title(title, anchor=False, width="content")
        page_link("home", plain(project), project, icon=":material/folder:")
