"""A grid of what a search found: select what is to be kept, and look at each with its papers."""

from collections.abc import Sequence

from studio.collect.web.hits import FoundHit
from studio.language import _
from studio.web.components.picture_grid import draw_grid
from studio.web.detail_routes import hit_address
from studio.web.routes import preview_address


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
                    filter(None, (hit.papers.title, hit.papers.licence or _("licence unknown")))
                ),
            }
            for hit in hits
        ],
        key=key,
    )
