"""The five rooms as pages, in their order, and the ways between them."""

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import streamlit as st
from streamlit.navigation.page import Page

from studio.language import _

_PAGES_DIR = Path(__file__).resolve().parents[2] / "pages"


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
