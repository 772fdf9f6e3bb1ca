"""Predictions of one or two models on images, with explanations and corrections."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from PIL import Image

from studio.arrays import Uint8Array
from studio.collect.ingest import ImportContext
from studio.datasets.projects import Project, project_classes
from studio.errors import ImageRefused, StudioError
from studio.i18n import _
from studio.images.decode import decode
from studio.predict.batch import PredictionRow
from studio.predict.correction import add_corrected_image
from studio.predict.explain import NearestImage, overlay_activation_map
from studio.predict.model import Explanation, Prediction
from studio.retrain.confidence import Confidence
from studio.web.predict.abstention import abstention_text, prediction_headline
from studio.web.predict.input import InputImage
from studio.web.predict.models import model_version, nearest_training_images, open_model
from studio.web.predict.table import draw_table, to_csv
from studio.web.state import database, now, store
from studio.web.text import escape_markdown, format_percent
from studio.web.urls import thumbnail_url

_SHOWN_CLASSES = 5  # as many as the codelab's script prints
_IMAGE_PX = 640
_INPUT_PX = 138
_NEAREST = 6
_MAX_PILLS = 12
"""More classes than this are a select box instead of buttons."""
_MAX_CARDS = 6
"""More images than this are a table instead of cards."""
_TILE = """<figure style="margin:0;width:5.8rem">
<img src="{source}" alt="{label}" loading="lazy"
  style="width:100%;aspect-ratio:1;object-fit:cover;border-radius:.4rem;display:block">
<figcaption style="font-size:.75rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap">
{label} · {similarity}</figcaption></figure>"""


@dataclass(frozen=True)
class _ExplainedImage:
    """A prediction with its explanation. pixels: the network's input, uint8, (h, w, 3)."""

    explanation: Explanation
    pixels: Uint8Array
    nearest: tuple[NearestImage, ...]


def draw_predictions(
    project: Project, images: Sequence[InputImage], models: Sequence[tuple[str, Path]]
) -> None:
    """Draw the predictions for images: a card for each, or a table of the first model's for many.

    models: title and run folder of one or two.
    """
    images = list({image.sha256: image for image in images}.values())
    if len(images) > _MAX_CARDS:
        rows = _predict_rows(images, models[0][1])
        selected = draw_table(rows, key=f"predictions-{project.id}")
        st.download_button(
            _("Download table (CSV)"),
            to_csv(rows),
            file_name=f"{project.name} answers.csv",
            mime="text/csv",
            icon=":material/download:",
        )
        if not selected:
            st.caption(_("Select rows to see the images and to add them to the project."))
        images = [images[index] for index in selected[:_MAX_CARDS]]
    for image in images:
        _draw_card(project, image, models)


def _predict_rows(images: Sequence[InputImage], run_dir: Path) -> list[PredictionRow]:
    placeholder = st.empty()
    rows = []
    for number, image in enumerate(images):
        placeholder.progress(number / len(images), text=_("Predicting"))
        try:
            prediction = _predict(run_dir, model_version(run_dir) + image.sha256, image.data, image.name)
        except ImageRefused as refusal:
            rows.append(PredictionRow(image.name, skip_message=escape_markdown(str(refusal))))
        else:
            rows.append(PredictionRow.of(image.name, prediction))
    placeholder.empty()
    return rows


@st.cache_data(max_entries=5_000, show_spinner=False)
def _predict(run_dir: Path, version_and_sha256: str, _data: bytes, name: str) -> Prediction:
    return open_model(run_dir).predict_file(_data, name)


def _draw_card(project: Project, image: InputImage, models: Sequence[tuple[str, Path]]) -> None:
    """Draw an image with the predictions of the models, and the form to correct them."""
    with st.container(border=True, key=f"card-{image.sha256}"):
        try:
            explained = [
                _explain(run_dir, model_version(run_dir), image.sha256, image.data, image.name)
                for _title, run_dir in models
            ]
            decoded = _decode(image.sha256, image.data, image.name)
        except ImageRefused as refusal:
            st.error(escape_markdown(str(refusal)), icon=":material/broken_image:")
            return
        left, *right = st.columns([2, *[4 // len(models)] * len(models)], gap="medium")
        with left:
            st.image(decoded, width="stretch", alt=image.name)
            st.caption(escape_markdown(image.name))
        for column, (title, run_dir), each in zip(right, models, explained, strict=True):
            with column:
                if len(models) > 1:
                    st.caption(escape_markdown(title))
                _draw_prediction(each, open_model(run_dir).confidence or Confidence(), image.name)
        _draw_correction(project, image, explained[0].explanation.prediction.scores[0].label)


@st.cache_data(max_entries=64, show_spinner=False)
def _explain(run_dir: Path, version: str, sha256: str, _data: bytes, name: str) -> _ExplainedImage:
    model = open_model(run_dir)
    # From the file and not from the displayed image: exactly the pixels that training would use.
    pixels = model.preprocessing.read(_data, name)
    explanation = model.explain(pixels)
    features = explanation.features
    nearest = () if features is None else nearest_training_images(run_dir).find(features, _NEAREST)
    return _ExplainedImage(explanation, pixels, nearest)


@st.cache_data(max_entries=64, show_spinner=False)
def _decode(sha256: str, _data: bytes, name: str) -> Image.Image:
    return decode(_data, name, at_least_px=_IMAGE_PX)


def _draw_prediction(explained: _ExplainedImage, confidence: Confidence, name: str) -> None:
    explanation = explained.explanation
    prediction = explanation.prediction
    label = prediction.scores[0].label
    st.markdown(prediction_headline(label, prediction.abstention))
    if prediction.abstention:
        st.caption(abstention_text(prediction.abstention, confidence))
    for each in prediction.scores[:_SHOWN_CLASSES]:
        st.progress(each.score, text=f"{escape_markdown(each.label)} · {format_percent(each.score)}")
    with st.container(horizontal=True, gap="small"):
        st.image(
            explained.pixels,
            caption=_("Network input"),
            width=_INPUT_PX,
            alt=_("{name} as the input of the network").format(name=name),
        )
        if explanation.activation_map is not None:
            st.image(
                overlay_activation_map(explained.pixels, explanation.activation_map),
                caption=_("Class activation map of “{label}”").format(label=escape_markdown(label)),
                width=_INPUT_PX,
                alt=_("Class activation map: bright regions raise the score of the class"),
            )
    if explained.nearest:
        st.caption(_("Nearest training images"))
        st.html(_nearest_html(explained.nearest))


def _nearest_html(nearest: Sequence[NearestImage]) -> str:
    tiles = "".join(
        _TILE.format(
            source=thumbnail_url(each.sha256),
            label=html.escape(each.label, quote=True),
            similarity=f"{each.similarity:.2f}",
        )
        for each in nearest
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:.5rem">{tiles}</div>'


def _draw_correction(project: Project, image: InputImage, predicted: str) -> None:
    """Draw the classes; choosing one adds the image to the project with it."""
    with database().read() as session:
        classes = [each.name for each in project_classes(session, project.id)]
    added = st.session_state.setdefault(f"added-{project.id}", {})
    if image.sha256 in added:
        st.success(
            _("Added to the project as “{label}”.").format(label=escape_markdown(added[image.sha256])),
            icon=":material/task_alt:",
        )
    title = _("Add to the project as")
    key = f"correct-{project.id}-{image.sha256}"
    if len(classes) <= _MAX_PILLS:
        st.pills(
            title,
            classes,
            key=key,
            format_func=escape_markdown,
            on_change=_add_corrected_image,
            args=(project, image, key),
        )
    else:
        st.selectbox(
            title,
            classes,
            index=None,
            placeholder=predicted,
            key=key,
            on_change=_add_corrected_image,
            args=(project, image, key),
        )


def _add_corrected_image(project: Project, image: InputImage, key: str) -> None:
    label = st.session_state.get(key)
    if label is None:
        return
    try:
        context = ImportContext(
            database=database(), store=store(), project_id=project.id, clock=now, threads=1
        )
        add_corrected_image(context, image.data, image.name, label, kind=image.kind)
    except StudioError as error:
        st.toast(escape_markdown(str(error)), icon=":material/error:")
    else:
        st.session_state[f"added-{project.id}"][image.sha256] = label
    st.session_state[key] = None
