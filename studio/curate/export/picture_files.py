"""Pictures as files in folders, which four of the five formats have."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from studio.curate.export.file_names import UniqueNames, picture_name
from studio.curate.export.listing import Listed, Listing
from studio.curate.export.originals import Originals
from studio.curate.export.packing import Packing

_SQUEEZED = ("BMP", "TIFF")
"""Formats whose files are mostly larger than they need be."""


@dataclass(frozen=True)
class Exporting:
    """An export as it is written."""

    listing: Listing
    originals: Originals
    packed: Packing
    read: Callable[[], AbstractContextManager[Session]]


def write_pictures(exporting: Exporting, folder_of: Callable[[Listed], str]) -> dict[int, str]:
    """Write every picture into its folder; returns the path of each, by the picture's id.

    Pictures that are lost are left out.
    """
    names = dict(named(exporting.listing.pictures, folder_of))
    placed: dict[int, str] = {}
    for picture, data in exporting.originals.of(exporting.listing.pictures):
        name = names[picture.image_id]
        exporting.packed.add(name, data, squeeze=picture.format in _SQUEEZED)
        placed[picture.image_id] = name
    return placed


def named(pictures: Sequence[Listed], folder_of: Callable[[Listed], str]) -> Iterator[tuple[int, str]]:
    """Yield each picture's id and a path that no other has."""
    taken: Mapping[str, UniqueNames] = defaultdict(UniqueNames)
    for picture in pictures:
        folder = folder_of(picture)
        name = picture_name(picture.name, picture.format, picture.sha256[:12])
        yield picture.image_id, f"{folder}/{taken[folder].take(name)}"
