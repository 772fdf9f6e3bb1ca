"""The images of a project as they are now, light enough to hold all of them while they are exported."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import IO, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from db import models
from studio.csv_cells import csv_cell
from studio.datasets.class_styles import ClassLook, class_looks
from studio.datasets.layout import COLUMNS, MANIFEST, TABLE, Manifest, places_json
from studio.datasets.packing import Packing
from studio.datasets.split_query import side_of
from studio.datasets.splits import Split, given_of_groups
from studio.i18n import _
from studio.images import attribution, provenance
from studio.images.attribution import ImageCredit
from studio.images.file_names import UniqueNames, image_name
from studio.images.provenance import ProvenanceRecord, file_name
from studio.images.store import ImageStore
from studio.progress import Progress

_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Listed:
    """An image of the project."""

    image_id: int
    sha256: str
    format: str
    """Pillow's name of the format: JPEG, PNG, …"""
    width_px: int
    height_px: int
    size_bytes: int
    state: str
    """unlabelled, labelled or rejected."""
    class_name: str | None
    split: Split
    """Where it falls in a retraining that is not told otherwise."""
    split_given: str
    """The same where it was given; empty where a hash decides."""
    copy_group: str
    """The SHA-256 of the first image of those that are nearly the same; empty where there are none."""
    name: str
    """The file's name as it came."""

    @property
    def labelled(self) -> bool:
        """Whether it is to be learnt from."""
        return self.state == "labelled" and self.class_name is not None


@dataclass(frozen=True)
class Listing:
    """A project as it is now."""

    project_id: int
    project: str
    classes: tuple[ClassLook, ...]
    images: tuple[Listed, ...]
    """In the order in which they came."""
    changed_at: datetime | None
    """When somebody last decided about an image."""


def listing(session: Session, project_id: int, project: str) -> Listing:
    """Return a project's classes and images, in one look."""
    if session.get_bind().dialect.name == "postgresql":
        # All questions are answered from one state, as SQLite does anyway.
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    changed_at = session.scalar(
        select(func.max(models.LabelRow.updated_at)).where(models.LabelRow.project_id == project_id)
    )
    names = _names(session, project_id)
    return Listing(
        project_id,
        project,
        class_looks(session, project_id),
        tuple(_together(tuple(_images(session, project_id, names)))),
        changed_at,
    )


def _images(session: Session, project_id: int, names: dict[int, str]) -> Iterator[Listed]:
    label, image, kind, group = (
        models.LabelRow,
        models.ImageRow,
        models.ImageClassRow,
        models.DuplicateGroupRow,
    )
    first = aliased(image)
    rows = session.execute(
        select(
            image.id,
            image.sha256,
            image.format,
            image.width_px,
            image.height_px,
            image.size_bytes,
            label.state,
            kind.name,
            label.split,
            first.sha256,
        )
        .join(label, label.image_id == image.id)
        .outerjoin(kind, kind.id == label.class_id)
        .outerjoin(group, (group.image_id == image.id) & (group.project_id == project_id))
        .outerjoin(first, first.id == group.group_id)
        .where(label.project_id == project_id)
        .order_by(image.id)
        .execution_options(yield_per=_ROWS)
    )
    for image_id, digest, format_name, width, height, size, state, class_name, given, leader in rows:
        yield Listed(
            image_id=image_id,
            sha256=digest,
            format=format_name,
            width_px=width,
            height_px=height,
            size_bytes=size,
            state=state,
            class_name=class_name,
            split=side_of(given, leader or digest),
            split_given=given or "",
            copy_group=leader or "",
            name=names.get(image_id, ""),
        )


def _together(images: Sequence[Listed]) -> Iterator[Listed]:
    """Yield images, those to be learnt from on the side of the near copies that came with a split."""
    learnt = (
        (p.copy_group, cast(Split, p.split_given) or None) for p in images if p.labelled and p.copy_group
    )
    given = given_of_groups(learnt)
    for image in images:
        side = given.get(image.copy_group) if image.labelled else None
        yield replace(image, split=side) if side and side != image.split else image


def _names(session: Session, project_id: int) -> dict[int, str]:
    """Return each image's name as the place says where it was found first."""
    found = models.ProvenanceRow
    rows = session.execute(
        select(found.image_id, found.address)
        .where(found.project_id == project_id)
        .order_by(found.id)
        .execution_options(yield_per=_ROWS)
    )
    names: dict[int, str] = {}
    for image_id, address in rows:
        if image_id not in names:
            names[image_id] = file_name(address)
    return names


def by_state(images: Sequence[Listed]) -> dict[str, int]:
    """Count images by their state."""
    counts = dict.fromkeys(("labelled", "unlabelled", "rejected"), 0)
    for image in images:
        counts[image.state] += 1
    return counts


@dataclass(frozen=True)
class Lost:
    """An image whose file is not there, or is not what it was."""

    name: str
    sha256: str
    reason: str


@dataclass
class Originals:
    """Reads images one after the other and says how many are done."""

    store: ImageStore
    progress: Progress
    total: int
    done: int = 0
    lost: list[Lost] = field(default_factory=list)

    def of(self, images: Sequence[Listed]) -> Iterator[tuple[Listed, bytes]]:
        """Yield images with their bytes, but for those that are lost."""
        for image in images:
            data = self._read(image)
            if data is not None:
                yield image, data
            self.done += 1
            self.progress.report(_("Writing images"), self.done, self.total)

    def _read(self, image: Listed) -> bytes | None:
        reason = _("its file is not what it was when it came")
        try:
            data = self.store.original(image.sha256, image.format).read_bytes()
            if sha256(data).hexdigest() == image.sha256:
                return data
        except FileNotFoundError:
            reason = _("its file is not there")
        except OSError as error:
            reason = _("its file cannot be read ({why})").format(why=error.strerror or error)
        self.lost.append(Lost(image.name, image.sha256, reason))
        return None


_SQUEEZED = ("BMP", "TIFF")
"""Formats whose files are mostly larger than they need be."""


@dataclass(frozen=True)
class Exporting:
    """An export as it is written."""

    listing: Listing
    originals: Originals
    packed: Packing
    read: Callable[[], AbstractContextManager[Session]]


def write_images(exporting: Exporting, folder_of: Callable[[Listed], str]) -> dict[int, str]:
    """Write every image into its folder; returns the path of each, by the image's id.

    Images that are lost are left out.
    """
    names = dict(named(exporting.listing.images, folder_of))
    placed: dict[int, str] = {}
    for image, data in exporting.originals.of(exporting.listing.images):
        name = names[image.image_id]
        exporting.packed.add(name, data, squeeze=image.format in _SQUEEZED)
        placed[image.image_id] = name
    return placed


def named(images: Sequence[Listed], folder_of: Callable[[Listed], str]) -> Iterator[tuple[int, str]]:
    """Yield each image's id and a path that no other has."""
    taken: Mapping[str, UniqueNames] = defaultdict(UniqueNames)
    for image in images:
        folder = folder_of(image)
        name = image_name(image.name, image.format, image.sha256[:12])
        yield image.image_id, f"{folder}/{taken[folder].take(name)}"


Placed = Mapping[int, str]
"""The path in the export of each image that is in it, by the image's id."""


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
    manifest = Manifest(kind, listing.project, len(listing.images), listing.classes)
    packed.add(MANIFEST, manifest.to_json().encode(), squeeze=True)


def credits_of(session: Session, listing: Listing, placed: Placed) -> tuple[ImageCredit, ...]:
    """Return the credits of the images in an export; those without a class stand under none."""
    classes = {p.sha256: p.class_name or "" for p in listing.images if p.image_id in placed}
    return attribution.rows(session, listing.project_id, classes)


def write_table(session: Session, file: IO[str], listing: Listing, placed: Placed) -> None:
    """Write `labels.csv`: a line for each image under `COLUMNS`, and more where its places fill a cell."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for image, places in with_places(session, listing, listing.images):
        for piece in places_json(places):
            writer.writerow([*map(csv_cell, _cells(image, places, placed.get(image.image_id, ""))), piece])


def with_places(
    session: Session, listing: Listing, images: Sequence[Listed]
) -> Iterator[tuple[Listed, tuple[ProvenanceRecord, ...]]]:
    """Yield images with the places where they were found, a thousand in memory at a time."""
    for start in range(0, len(images), _ROWS):
        some = images[start : start + _ROWS]
        places = provenance.provenance_of(session, listing.project_id, [image.image_id for image in some])
        for image in some:
            yield image, places[image.image_id]


def _cells(image: Listed, places: tuple[ProvenanceRecord, ...], file_name: str) -> tuple[str, ...]:
    place = ImageCredit(image.sha256, "", places).credited
    return (
        file_name,
        image.sha256,
        image.name,
        image.class_name or "",
        image.state,
        image.split,
        image.split_given,
        str(image.width_px),
        str(image.height_px),
        str(image.size_bytes),
        image.format,
        *(getattr(place, name, "") for name in _OF_PLACE[:6]),
        place.found_at.isoformat() if place else "",
        *(getattr(place, name, "") for name in _OF_PLACE[6:]),
        image.copy_group,
    )


_OF_PLACE = ("licence", "licence_address", "creator", "title", "page_address", "address", "robots", "kind")
