"""The tables that stand beside an export's pictures: all that is known of them, and who made them."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

from sqlalchemy.orm import Session

from studio.collect import attribution, papers
from studio.collect.attribution import Credit
from studio.collect.own_table import COLUMNS, MANIFEST, TABLE, Manifest, places_json
from studio.collect.papers import PaperRecord
from studio.collect.spreadsheet import cell
from studio.curate.export.listing import Listed, Listing
from studio.curate.export.packing import Packing

_ROWS = 1_000
Placed = Mapping[int, str]
"""The path in the export of each picture that is in it, by the picture's id."""


@contextmanager
def text_file(packed: Packing, name: str) -> Iterator[IO[str]]:
    r"""Open a file of an export for UTF-8 text with \n lines."""
    with packed.open(name) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        try:
            yield text
        finally:
            text.detach()  # which writes what is left; the file is not the text's to close


def write_beside(session: Session, packed: Packing, kind: str, listing: Listing, placed: Placed) -> None:
    """Write what every export has: the table, the description, and the credits."""
    with text_file(packed, TABLE) as file:
        write_table(session, file, listing, placed)
    credits = credits_of(session, listing, placed)
    packed.add("ATTRIBUTION.csv", attribution.as_csv(credits).encode(), squeeze=True)
    packed.add("ATTRIBUTION.txt", attribution.as_text(credits).encode(), squeeze=True)
    manifest = Manifest(kind, listing.project, len(listing.pictures), listing.classes)
    packed.add(MANIFEST, manifest.to_json().encode(), squeeze=True)


def credits_of(session: Session, listing: Listing, placed: Placed) -> tuple[Credit, ...]:
    """Return the credits of the pictures in an export; those without a class stand under none."""
    classes = {p.sha256: p.class_name or "" for p in listing.pictures if p.image_id in placed}
    return attribution.rows(session, listing.project_id, classes)


def write_table(session: Session, file: IO[str], listing: Listing, placed: Placed) -> None:
    """Write `labels.csv`: a line for each picture under `COLUMNS`, and more where its places fill a cell."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for picture, places in with_places(session, listing, listing.pictures):
        for piece in places_json(places):
            writer.writerow([*map(cell, _cells(picture, places, placed.get(picture.image_id, ""))), piece])


def with_places(
    session: Session, listing: Listing, pictures: Sequence[Listed]
) -> Iterator[tuple[Listed, tuple[PaperRecord, ...]]]:
    """Yield pictures with the places where they were found, a thousand in memory at a time."""
    for start in range(0, len(pictures), _ROWS):
        some = pictures[start : start + _ROWS]
        places = papers.of(session, listing.project_id, [picture.image_id for picture in some])
        for picture in some:
            yield picture, places[picture.image_id]


def _cells(picture: Listed, places: tuple[PaperRecord, ...], file_name: str) -> tuple[str, ...]:
    place = Credit(picture.sha256, "", places).credited
    return (
        file_name,
        picture.sha256,
        picture.name,
        picture.class_name or "",
        picture.state,
        picture.split,
        picture.split_given,
        str(picture.width_px),
        str(picture.height_px),
        str(picture.size_bytes),
        picture.format,
        *(getattr(place, name, "") for name in _OF_PLACE[:6]),
        place.found_at.isoformat() if place else "",
        *(getattr(place, name, "") for name in _OF_PLACE[6:]),
        picture.copy_group,
    )


_OF_PLACE = ("licence", "licence_address", "creator", "title", "page_address", "address", "robots", "kind")
