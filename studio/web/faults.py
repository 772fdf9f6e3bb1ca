"""What a person sees when a page meets an error: one line and what to do, never a traceback."""

import logging
import traceback

import streamlit as st

from studio.errors import StudioError
from studio.language import _
from studio.settings import settings
from studio.web.words import plain

_log = logging.getLogger("studio.web")


def show_fault(fault: Exception) -> bool:
    """Draw `fault` on the page; True tells Streamlit that it need not."""
    if isinstance(fault, StudioError):
        st.error(plain(str(fault)), icon=":material/error:")
        return True
    path = settings().logs_dir / "web.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        log.writelines(traceback.format_exception(fault))
    st.error(
        _(
            "Something unexpected happened. Nothing you entered is lost: reload the page. "
            "The details are in {path}."
        ).format(path=plain(str(path))),
        icon=":material/error:",
    )
    return True
