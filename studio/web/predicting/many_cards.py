"""Few pictures as cards; many as a table, of which those that are picked are cards."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from studio.collect.projects import Project
from studio.errors import PictureRefused
from studio.language import _
from studio.predict.many import Row
from studio.predict.model import Answer
from studio.web.predicting.cards import card
from studio.web.predicting.given import Given
from studio.web.predicting.opened import opened, stamp
from studio.web.predicting.table import csv_of, table
from studio.web.words import plain

_FEW = 6


def draw(here: Project, pictures: Sequence[Given], models: Sequence[tuple[str, Path]]) -> None:
    """Draw what the models say of some pictures; in a table, what the first does. models: with titles."""
    pictures = list({picture.digest: picture for picture in pictures}.values())
    if len(pictures) > _FEW:
        rows = _rows(pictures, models[0][1])
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
        pictures = [pictures[at] for at in picked[:_FEW]]
    for picture in pictures:
        card(here, picture, models)


def _rows(pictures: Sequence[Given], run_dir: Path) -> list[Row]:
    place = st.empty()
    rows = []
    for number, picture in enumerate(pictures):
        place.progress(number / len(pictures), text=_("Asking the model"))
        try:
            answer = _answer(run_dir, stamp(run_dir) + picture.digest, picture.data, picture.name)
        except PictureRefused as refusal:
            rows.append(Row(picture.name, refused=plain(str(refusal))))
        else:
            rows.append(Row.of(picture.name, answer))
    place.empty()
    return rows


@st.cache_data(max_entries=5_000, show_spinner=False)
def _answer(run_dir: Path, stamp_and_digest: str, _data: bytes, name: str) -> Answer:
    return opened(run_dir).answer_file(_data, name)
