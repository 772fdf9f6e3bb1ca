"""Share: a trained model leaves the studio, as files that others open and as a link."""

import streamlit as st

from studio.i18n import _
from studio.web.layout import heading
from studio.web.share import exports, links
from studio.web.share.runs import finished_runs, run_title
from studio.web.state import project

here = project()
heading(_("Share"), _("Take the model where it is needed: as files, or as a link."), here.name)
finished = finished_runs(here)
run = finished[0]
with st.container():  # one place, whatever is in it, so that what is half typed for a link stays
    if len(finished) > 1:
        run = st.selectbox(_("Model"), finished, format_func=run_title)
    exports.draw(here, run)
links.draw(here, run)
