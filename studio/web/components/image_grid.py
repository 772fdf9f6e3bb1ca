"""A grid of images to select from with mouse, touch or keyboard; a dialog shows one with its provenance."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from studio.collect.web.search import SearchHit
from studio.i18n import _
from studio.web.assets import register_component
from studio.web.curate.routes import hit_address
from studio.web.urls import preview_url

_HERE = Path(__file__).parent
_component = register_component(
    "image_grid",
    html='<div class="bar"></div><div class="grid" role="group"></div><dialog></dialog>',
    css=_HERE / "image_grid.css",
    entry=_HERE / "image_grid.js",
)


class Tile(TypedDict):
    """One image of a grid. thumbnail, address, details: URLs of the studio's routes."""

    id: int
    thumbnail: str
    address: str
    """Of the image in a size to view."""
    details: str
    """Of its metadata, see `studio.web.curate.routes`."""
    name: str


def draw_grid(tiles: Sequence[Tile], *, key: str) -> list[int]:
    """Draw tiles; return the ids of the selected ones."""
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
                    "Arrow keys move, Space selects, Shift+click selects a range. I, Z or a double click "
                    "shows an image with its provenance."
                ),
                "close": _("Close"),
                "places": _("Provenance"),
                "loading": _("Loading the provenance…"),
                "lost": _("The provenance could not be loaded. Close this dialog and try again."),
            },
        },
        default={"selected": []},
        on_selected_change=lambda: None,
    )
    shown = {tile["id"] for tile in tiles}
    return [image for image in result.selected if image in shown]


def hit_grid(hits: Sequence[SearchHit], *, key: str) -> list[int]:
    """Draw search hits; return the ids of the selected ones."""
    return draw_grid(
        [
            {
                "id": hit.id,
                "thumbnail": preview_url(hit.preview),
                "address": preview_url(hit.preview),
                "details": hit_address(hit.id),
                "name": " · ".join(
                    filter(None, (hit.provenance.title, hit.provenance.licence or _("licence unknown")))
                ),
            }
            for hit in hits
        ],
        key=key,
    )
