"""A grid of images: select with mouse, touch or keyboard, and look at one with its provenance."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import streamlit as st

from studio.collect.web.search import FoundHit
from studio.i18n import _
from studio.web.addresses import preview_address
from studio.web.curate.routes import hit_address

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "image_grid",
    html='<div class="bar"></div><div class="grid" role="group"></div><dialog></dialog>',
    css=(_HERE / "picture_grid.css").read_text(encoding="utf-8"),
    js=(_HERE / "picture_grid.js").read_text(encoding="utf-8"),
)


class Tile(TypedDict):
    """One image of a grid; the addresses are of routes of ours."""

    id: int
    thumbnail: str
    address: str
    """Of the image in a size for looking at."""
    details: str
    """Of what is known of it, as `studio.web.curate.routes` gives it."""
    name: str


def draw_grid(tiles: Sequence[Tile], *, key: str) -> list[int]:
    """Draw tiles and return the ids of those that are selected."""
    result = _component(
        key=key,
        data={
            "images": tiles,
            "texts": {
                "grid": _("Images"),
                "all": _("Select all"),
                "none": _("Select none"),
                "selected": _("{count} selected"),
                "help": _(
                    "Arrows move, Space selects, Shift+click selects a range, "
                    "I, Z or a double click shows an image with its provenance."
                ),
                "close": _("Close"),
                "places": _("Provenance"),
                "loading": _("Reading its provenance…"),
                "lost": _("Its provenance could not be read. Close this, and look again."),
            },
        },
        default={"selected": []},
        on_selected_change=lambda: None,
    )
    shown = {tile["id"] for tile in tiles}
    return [image for image in result.selected if image in shown]


def hit_grid(hits: Sequence[FoundHit], *, key: str) -> list[int]:
    """Draw the hits and return the ids of those that are selected."""
    return draw_grid(
        [
            {
                "id": hit.id,
                "thumbnail": preview_address(hit.preview),
                "address": preview_address(hit.preview),
                "details": hit_address(hit.id),
                "name": " · ".join(
                    filter(None, (hit.provenance.title, hit.provenance.licence or _("licence unknown")))
                ),
            }
            for hit in hits
        ],
        key=key,
    )
