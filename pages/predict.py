"""Predict: a trained model's predictions on new images, with confidence and explanations."""

import streamlit as st

from studio.i18n import _
from studio.web.layout import page_heading
from studio.web.predict import results
from studio.web.predict.abstention import draw_abstention
from studio.web.predict.input import choose_models, draw_inputs
from studio.web.state import current_project

project = current_project()
page_heading(_("Predict"), _("Try a trained model on new images."), project.name)
with st.container():  # one place, whatever is in it, so that Streamlit does not rebuild the inputs below
    runs, models = choose_models(project)
    draw_abstention(models)
results.draw_predictions(project, draw_inputs(project, runs[0].id), models)
