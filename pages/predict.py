"""Predict: a trained model answers on new pictures."""

from pathlib import Path

import streamlit as st

from studio.collect.decode import decode
from studio.errors import PictureRefused
from studio.language import _
from studio.predict.model import Model
from studio.retrain import project_runs
from studio.settings import settings
from studio.web.look import heading
from studio.web.rooms import go
from studio.web.state import database, project
from studio.web.words import moment, percent, plain

SHOWN = 5  # as many classes as the codelab's script prints
SHOWN_PX = 640


@st.cache_resource(max_entries=4, show_spinner=False)
def opened(folder: Path) -> Model:
    """Open a model once and keep it for the next picture."""
    return Model.open(folder, threads=settings().threads_used)


here = project()
heading(_("Predict"), _("Show the model a new picture and read what it sees."), here.name)
with database().read() as session:
    finished = [run for run in project_runs.runs(session, here.id) if run.evaluation is not None]
if not finished:
    st.info(_("There is no trained model in this project yet."), icon=":material/model_training:")
    if st.button(_("Retrain"), type="primary"):
        go("retrain", here.name)
    st.stop()

run = finished[0]
if len(finished) > 1:
    run = st.selectbox(
        _("Model"),
        finished,
        format_func=lambda run: " · ".join(
            filter(None, (run.name, moment(run.created_at), percent(run.evaluation.accuracy)))
        ),
    )
model = opened(settings().runs_dir / run.folder)

files_tab, camera_tab = st.tabs([_("Photographs"), _("Camera")])
with files_tab:
    uploads = st.file_uploader(
        _("Drop one or more photographs"), accept_multiple_files=True, key="photographs"
    )
with camera_tab:
    # A camera that is asked for is a camera that is on: it starts only when somebody wants it.
    shot = st.camera_input(_("Take a picture")) if st.toggle(_("Turn the camera on")) else None

for upload in [*([shot] if shot else []), *uploads]:
    with st.container(border=True):
        try:
            # Asked by the file, not by the picture shown: it takes the very pixels that training took.
            predictions = model.classify_file(upload.getvalue(), upload.name)
            image = decode(upload.getvalue(), upload.name, at_least_px=SHOWN_PX)
        except PictureRefused as refusal:
            st.error(plain(str(refusal)), icon=":material/broken_image:")
            continue
        picture, answers = st.columns([1, 2], vertical_alignment="center")
        picture.image(image, width="stretch", alt=upload.name)
        with answers:
            st.markdown(f"### {plain(predictions[0].label)}")
            for prediction in predictions[:SHOWN]:
                st.progress(prediction.score, text=f"{plain(prediction.label)} · {percent(prediction.score)}")
