"""The studio's look beyond the theme, and the heading that every page begins with."""

import streamlit as st

from studio.web.words import plain

_CSS = """
<style>
.stMainBlockContainer { max-width: 72rem; padding-top: 4.5rem; }
.stHeading h1 { letter-spacing: -0.02em; padding: 0 0 0.4rem; }
@media (max-width: 640px) { .stMainBlockContainer { padding-left: 1rem; padding-right: 1rem; } }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
</style>
"""


def dress() -> None:
    """Add the little that the theme cannot say."""
    st.html(_CSS)


def heading(title: str, about: str, project: str | None = None) -> None:
    """Draw a page's title, the project that is open, and one line on what is done here."""
    if project:
        st.caption(f":material/folder: {plain(project)}")
    st.title(title, anchor=False)
    st.markdown(about)
