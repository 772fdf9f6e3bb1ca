"""A grid of pictures: select with mouse, touch or keyboard, and look at one with its papers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import streamlit as st

from studio.language import _

_HERE = Path(__file__).parent

_component = st.components.v2.component(
    "picture_grid",
    html='<div class="bar"></div><div class="grid" role="group"></div><dialog></dialog>',
    css=(_HERE / "picture_grid.css").read_text(encoding="utf-8"),
    js=(_HERE / "picture_grid.js").read_text(encoding="utf-8"),
)


class Tile(TypedDict):
    """One picture of a grid; the addresses are of routes of ours."""

    id: int
    thumbnail: str
    address: str
    """Of the picture in a size for looking at."""
    details: str
    """Of what is known of it, as `studio.web.detail_routes` gives it."""
    name: str


def draw_grid(tiles: Sequence[Tile], *, key: str) -> list[int]:
    """Draw tiles and return the ids of those that are selected."""
    result = _component(
        key=key,
        data={
            "pictures": tiles,
            "texts": {
                "grid": _("Pictures"),
                "all": _("Select all"),
                "none": _("Select none"),
                "selected": _("{count} selected"),
                "help": _(
                    "Arrows move, Space selects, Shift+click selects a range, "
                    "I, Z or a double click shows a picture with its papers."
                ),
                "close": _("Close"),
                "places": _("Papers"),
                "loading": _("Reading its papers…"),
                "lost": _("Its papers could not be read. Close this, and look again."),
            },
        },
        default={"selected": []},
        on_selected_change=lambda: None,
    )
    shown = {tile["id"] for tile in tiles}
    return [image for image in result.selected if image in shown]
