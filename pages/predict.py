"""Predict: a trained model answers on new pictures, says how sure it is, and shows what it looked at."""

import streamlit as st

from studio.language import _
from studio.web.look import heading
from studio.web.predicting import many_cards, words
from studio.web.predicting.choosing import chosen
from studio.web.predicting.given import given
from studio.web.state import project

here = project()
heading(_("Predict"), _("Show the model a new picture and read what it sees."), here.name)
with st.container():  # one place, whatever is in it, so that the ways to give pictures are not built anew
    runs, models = chosen(here)
    words.draw_costs(models)
many_cards.draw(here, given(here, runs[0].id), models)
