"""Predict: a trained model answers on new images, says how sure it is, and shows what it looked at."""

import streamlit as st

from studio.i18n import _
from studio.web.layout import heading
from studio.web.predict import results, text
from studio.web.predict.input import chosen, given
from studio.web.state import project

here = project()
heading(_("Predict"), _("Show the model a new image and read what it sees."), here.name)
with st.container():  # one place, whatever is in it, so that the ways to give images are not built anew
    runs, models = chosen(here)
    text.draw_costs(models)
results.draw(here, given(here, runs[0].id), models)
