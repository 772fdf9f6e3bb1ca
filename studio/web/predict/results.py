"""One image and what one model or two say of it, with what the answer comes from."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import streamlit as st
from PIL import Image

from studio.datasets.projects import Project, project_classes
from studio.errors import ImageRefused, StudioError
from studio.i18n import _
from studio.images.decode import decode
from studio.predict.batch import Row
from studio.predict.correction import put_back
from studio.predict.explain import Near, over
from studio.predict.model import Answer, Look
from studio.retrain.confidence import Confidence
from studio.web.addresses import thumbnail_address
from studio.web.predict import text
from studio.web.predict.input import Given
from studio.web.predict.models import nearest_images, open_model, stamp
from studio.web.predict.table import csv_of, table
from studio.web.state import database, now, store
from studio.web.text import percent, plain

SHOWN = 5  # as many classes as the codelab's script prints
_SHOWN_PX = 640
_SMALL_PX = 138
_NEAR = 6
_FEW_CLASSES = 12
_TILE = """<figure style="margin:0;width:5.8rem">
<img src="{source}" alt="{label}" loading="lazy"
  style="width:100%;aspect-ratio:1;object-fit:cover;border-radius:.4rem;display:block">
<figcaption style="font-size:.75rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap">
{label} · {likeness}</figcaption></figure>"""


@dataclass(frozen=True)
class _Seen:
    """pixels: as the network sees the image, uint8, (h, w, 3)."""

    look: Look
    pixels: npt.NDArray[np.uint8]
    near: tuple[Near, ...]


@st.cache_data(max_entries=64, show_spinner=False)
def _seen(run_dir: Path, stamp_of: str, digest: str, _data: bytes, name: str) -> _Seen:
    model = open_model(run_dir)
    # By the file, not by the image that is shown: the very pixels that training took.
    pixels = model.preprocessing.read(_data, name)
    look = model.look(pixels)
    near = () if look.features is None else nearest_images(run_dir).to(look.features, _NEAR)
    return _Seen(look, pixels, near)


@st.cache_data(max_entries=64, show_spinner=False)
def _shown(digest: str, _data: bytes, name: str) -> Image.Image:
    return decode(_data, name, at_least_px=_SHOWN_PX)


def card(here: Project, image: Given, models: Sequence[tuple[str, Path]]) -> None:
    """Draw an image with what each of the models says of it. models: one or two, each with a title."""
    digest = image.digest
    with st.container(border=True, key=f"card-{digest}"):
        try:
            found = [
                _seen(run_dir, stamp(run_dir), digest, image.data, image.name) for _title, run_dir in models
            ]
            shown = _shown(digest, image.data, image.name)
        except ImageRefused as refusal:
            st.error(plain(str(refusal)), icon=":material/broken_image:")
            return
        left, *right = st.columns([2, *[4 // len(models)] * len(models)], gap="medium")
        with left:
            st.image(shown, width="stretch", alt=image.name)
            st.caption(plain(image.name))
        for place, (title, run_dir), seen in zip(right, models, found, strict=True):
            with place:
                if len(models) > 1:
                    st.caption(plain(title))
                _answers(seen, open_model(run_dir).sureness or Confidence(), image.name)
        _correct(here, image, found[0].look.answer.predictions[0].label)


def _answers(seen: _Seen, sureness: Confidence, name: str) -> None:
    answer = seen.look.answer
    st.markdown(text.headline(answer.predictions[0].label, answer.doubt))
    if answer.doubt:
        st.caption(text.reason(answer.doubt, sureness))
    for prediction in answer.predictions[:SHOWN]:
        st.progress(prediction.score, text=f"{plain(prediction.label)} · {percent(prediction.score)}")
    with st.container(horizontal=True, gap="small"):
        st.image(
            seen.pixels,
            caption=_("As the network sees it"),
            width=_SMALL_PX,
            alt=_("{name} as the network sees it").format(name=name),
        )
        if seen.look.heat is not None:
            st.image(
                over(seen.pixels, seen.look.heat),
                caption=_("Where it saw “{label}”").format(label=plain(answer.predictions[0].label)),
                width=_SMALL_PX,
                alt=_("Where the network found what speaks for its answer: bright is much"),
            )
    if seen.near:
        st.caption(_("Nearest training images"))
        st.html(_strip(seen.near))


def _strip(near: Sequence[Near]) -> str:
    tiles = "".join(
        _TILE.format(
            source=thumbnail_address(each.sha256),
            label=html.escape(each.label, quote=True),
            likeness=f"{each.likeness:.2f}",
        )
        for each in near
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:.5rem">{tiles}</div>'


def _correct(here: Project, image: Given, said: str) -> None:
    """Draw the classes: a click on the right one puts the image into the project."""
    with database().read() as session:
        classes = [each.name for each in project_classes(session, here.id)]
    done = st.session_state.setdefault(f"put-back-{here.id}", {})
    digest = image.digest
    if digest in done:
        st.success(
            _("It is in the project as “{label}”.").format(label=plain(done[digest])),
            icon=":material/task_alt:",
        )
    ask = _("Put it into the project as")
    key = f"correct-{here.id}-{digest}"
    if len(classes) <= _FEW_CLASSES:
        st.pills(ask, classes, key=key, format_func=plain, on_change=_put_back, args=(here, image, key))
    else:
        st.selectbox(
            ask,
            classes,
            index=None,
            placeholder=said,
            key=key,
            on_change=_put_back,
            args=(here, image, key),
        )


def _put_back(here: Project, image: Given, key: str) -> None:
    label = st.session_state.get(key)
    if label is None:
        return
    try:
        put_back(
            database(),
            store(),
            here.id,
            image.data,
            image.name,
            label,
            kind=image.kind,
            now=now(),
            new_id=lambda: uuid4().hex,
        )
    except StudioError as error:
        st.toast(plain(str(error)), icon=":material/error:")
    else:
        st.session_state[f"put-back-{here.id}"][image.digest] = label
    st.session_state[key] = None


_FEW = 6


def draw(here: Project, images: Sequence[Given], models: Sequence[tuple[str, Path]]) -> None:
    """Draw what the models say of some images; in a table, what the first does. models: with titles."""
    images = list({image.digest: image for image in images}.values())
    if len(images) > _FEW:
        rows = _rows(images, models[0][1])
        picked = table(rows, key=f"answers-{here.id}")
        st.download_button(
            _("Table as CSV"),
            csv_of(rows),
            file_name=f"{here.name} answers.csv",
            mime="text/csv",
            icon=":material/download:",
        )
        if not picked:
            st.caption(_("Pick rows to see them in full and to put them into the project."))
        images = [images[at] for at in picked[:_FEW]]
    for image in images:
        card(here, image, models)


def _rows(images: Sequence[Given], run_dir: Path) -> list[Row]:
    place = st.empty()
    rows = []
    for number, image in enumerate(images):
        place.progress(number / len(images), text=_("Asking the model"))
        try:
            answer = _answer(run_dir, stamp(run_dir) + image.digest, image.data, image.name)
        except ImageRefused as refusal:
            rows.append(Row(image.name, refused=plain(str(refusal))))
        else:
            rows.append(Row.of(image.name, answer))
    place.empty()
    return rows


@st.cache_data(max_entries=5_000, show_spinner=False)
def _answer(run_dir: Path, stamp_and_digest: str, _data: bytes, name: str) -> Answer:
    return open_model(run_dir).answer_file(_data, name)
