"""What an address and its place on a page tell of a picture: icons, sprites, trackers are not asked for."""

import re
from urllib.parse import unquote

from studio.language import _

ICON_PX = 32
_PICTURE = re.compile(r"\.(jpe?g|jpe|jfif|pjpeg|png|webp|gif|bmp|tiff?|heic|heif|avif)$", re.IGNORECASE)
_DRAWING = re.compile(r"\.(svgz?|ico|cur)$", re.IGNORECASE)
_SPRITE = re.compile(r"(?<![a-z])sprites?(?![a-z])", re.IGNORECASE)
# The whole name: pixel-art.png is a picture. And no JPEG: it has no clear pixel, but there are beacons.
_TRACKER = re.compile(
    r"((tracker|tracking|track|pixel|beacon|spacer|blank|clear|transparent|1x1)[._-]?)+\d*"
    r"(\.(?!jpe?g$)[a-z]{2,4})?",
    re.IGNORECASE,
)


def file_of(address: str) -> str:
    """Return the last part of an address's path."""
    return unquote(address.partition("?")[0].rpartition("/")[2])


def is_picture_file(address: str) -> bool:
    """Whether an address names a picture by its ending. `File:Rose.jpg` of a wiki is the page about one."""
    name = file_of(address)
    return ":" not in name and _PICTURE.search(name) is not None


def is_drawing(address: str) -> bool:
    """Whether an address names a drawing or an icon by its ending: SVG, ICO."""
    return _DRAWING.search(file_of(address)) is not None


def why_ornament(
    address: str, width_px: int | None = None, height_px: int | None = None, *, hidden: bool = False
) -> str:
    """Return why a picture is not asked for, in a sentence; empty for most.

    width_px, height_px: as its page shows it, where it says so. hidden: its page does not show it at all.
    """
    name = file_of(address)
    sides = [side for side in (width_px, height_px) if side is not None]
    if is_drawing(address):
        said = _("{address} is not asked: by its name it is a drawing or an icon.")
    elif _SPRITE.search(name):
        said = _("{address} is not asked: by its name it holds many icons, a sprite.")
    elif _TRACKER.fullmatch(name):
        said = _("{address} is not asked: by its name it counts visitors or fills a gap.")
    elif sides and min(sides) < ICON_PX:
        said = _("{address} is not asked: its page shows it {side} px large, as an icon or a tracker.")
    elif hidden and not is_picture_file(address):
        said = _("{address} is not asked: its page hides it, as it would a tracker.")
    else:
        return ""
    return said.format(address=address, side=min(sides, default=0))
