"""A grid of pictures from which a person selects with mouse, touch or keyboard."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from studio.curate.grid import Picture
from studio.language import _
from studio.web.routes import picture_address, thumbnail_address

_HERE = Path(__file__).parent

_component = st.components.v2.component(
    "picture_grid",
    html='<div class="bar"></div><div class="grid" role="group"></div><dialog></dialog>',
    css=(_HERE / "picture_grid.css").read_text(encoding="utf-8"),
    js=(_HERE / "picture_grid.js").read_text(encoding="utf-8"),
)


def picture_grid(pictures: Sequence[Picture], *, key: str) -> list[int]:
    """Draw the pictures and return the ids of those that are selected."""
    result = _component(
        key=key,
        data={
            "pictures": [
                {
                    "id": picture.id,
                    "thumbnail": thumbnail_address(picture.sha256),
                    "address": picture_address(picture.sha256),
                    "name": picture.name,
                    "size": _("{width} by {height} pixels").format(
                        width=picture.width_px, height=picture.height_px
                    ),
                }
                for picture in pictures
            ],
            "texts": {
                "grid": _("Pictures"),
                "all": _("Select all"),
                "none": _("Select none"),
                "selected": _("{count} selected"),
                "help": _("Arrows move, Space selects, Shift+click selects a range, Z enlarges."),
                "close": _("Close"),
            },
        },
        default={"selected": []},
        on_selected_change=lambda: None,
    )
    shown = {picture.id for picture in pictures}
    return [image for image in result.selected if image in shown]
