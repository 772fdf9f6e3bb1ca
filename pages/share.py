"""Share: export a trained model as files, or share it by a link."""

import streamlit as st

from studio.i18n import _
from studio.web.layout import page_heading
from studio.web.share import exports, links
from studio.web.share.runs import finished_runs, run_title
from studio.web.state import current_project

project = current_project()
page_heading(_("Share"), _("Export a trained model as files, or share it by a link."), project.name)
finished = finished_runs(project)
run = finished[0]
with st.container():  # one place, whatever is in it, so that half-typed text of the link form stays
    if len(finished) > 1:
        run = st.selectbox(_("Model"), finished, format_func=run_title)
    exports.draw(project, run)
links.draw(project, run)
