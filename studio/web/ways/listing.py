"""Asking for pictures by a list of their addresses."""

import streamlit as st

from studio.errors import StudioError
from studio.jobs import requests
from studio.language import _
from studio.web.state import database, now
from studio.web.words import plain

_LARGEST_MB = 20


def draw(project_id: int, class_name: str | None) -> None:
    """Draw the form, and queue the fetching that it asks for."""
    turn = st.session_state.setdefault("list_turn", 0)
    with st.form("list", border=False):
        pasted = st.text_area(
            _("Addresses of pictures, one a line"),
            placeholder="https://…/rose.jpg",
            height=140,
            key=f"list-{turn}",
        )
        file = st.file_uploader(
            _("or a file: .txt with an address a line, or .csv with columns of addresses and classes"),
            type=["txt", "csv", "tsv"],
            max_upload_size=_LARGEST_MB,
            key=f"list-file-{turn}",
        )
        min_side_px = st.number_input(_("Shorter side at least, in pixels"), 0, 10_000, 0)
        if not st.form_submit_button(_("Fetch"), type="primary", icon=":material/download:"):
            return
    try:
        data = file.getvalue() if file else pasted.encode()
        requests.fetch_list(database(), project_id, data, class_name, int(min_side_px), now())
    except StudioError as error:
        st.error(plain(str(error)), icon=":material/error:")
    else:
        st.session_state["list_turn"] += 1
        st.rerun()
