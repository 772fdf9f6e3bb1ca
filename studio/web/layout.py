"""Layout that pages share: navigation, links between pages, headings, CSS."""

from collections.abc import Mapping
from typing import NoReturn

import streamlit as st
from streamlit.navigation.page import Page

from studio.files import APP_DIR
from studio.i18n import _
from studio.web.text import escape_markdown

_PAGES_DIR = APP_DIR / "pages"


def pages() -> dict[str, Page]:
    """Return the pages by name, in the order of the steps."""
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


def open_page(page: str, project: str) -> NoReturn:
    """Open a page of a project, and stop this one."""
    st.switch_page(pages()[page], query_params={"project": project})


def page_link(
    page: str,
    label: str,
    project: str | None = None,
    *,
    icon: str | None = None,
    query: Mapping[str, str] | None = None,
) -> None:
    """Draw a link to a page. query: more query parameters of its URL, such as a filter."""
    project_query = {"project": project} if project else {}
    st.page_link(pages()[page], label=label, icon=icon, query_params={**project_query, **(query or {})})


_CSS = """
<style>
.stMainBlockContainer { max-width: 72rem; padding-top: 4.5rem; }
.stHeading h1 { letter-spacing: -0.02em; padding: 0 0 0.4rem; }
.st-key-project-link { margin: 0 0 -0.6rem -0.5rem; }
.st-key-project-home .stHeading h3 { font-size: 1.2rem; padding-bottom: 0.2rem; }
.st-key-counts > * { flex: 1 1 8rem; }
.st-key-counts [data-testid="stMetricValue"] { font-size: 1.7rem; font-variant-numeric: tabular-nums; }
@media (max-width: 640px) { .stMainBlockContainer { padding-left: 1rem; padding-right: 1rem; } }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
</style>
"""
_FULL_WIDTH_CSS = """
<style>
.stMainBlockContainer { max-width: none; padding: 4rem 1.5rem 1rem; }
.stMainBlockContainer > .stVerticalBlock { gap: 0.6rem; }
.stMainBlockContainer .stHeading h1 { font-size: 1.35rem; padding: 0; }
@media (max-width: 640px) { .stMainBlockContainer { padding: 3.75rem 0.75rem 0.75rem; } }
</style>
"""


def apply_css() -> None:
    """Add CSS for what the theme has no option for."""
    st.html(_CSS)


def page_heading(title: str, subtitle: str, project: str | None = None) -> None:
    """Draw a link to the current project's home, the page's title and its subtitle."""
    if project:
        with st.container(key="project-link"):
            page_link("home", escape_markdown(project), project, icon=":material/folder:")
    st.title(title, anchor=False)
    st.markdown(subtitle)


def full_width_heading(title: str, project: str) -> None:
    """Make the page as wide as the window; draw its title and the project's link in one line."""
    st.html(_FULL_WIDTH_CSS)
    with st.container(horizontal=True, vertical_alignment="center", key="full-width-heading"):
        st.title(title, anchor=False, width="content")
        page_link("home", escape_markdown(project), project, icon=":material/folder:")
