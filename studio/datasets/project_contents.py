"""A project's images and classes as they are now: small rows, so that all fit in memory during an export."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from db import models
from studio.datasets.class_styles import ClassStyle, class_styles
from studio.datasets.split_query import image_split
from studio.datasets.splits import Split, group_splits
from studio.images import provenance
from studio.images.provenance import ProvenanceRecord, file_name

_CHUNK_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class ProjectImage:
    """An image of a project with its label."""

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
    """The split in which a retraining with default settings puts it."""
    split_given: str
    """The split that came with it; empty where a hash decides."""
    duplicate_group: str
    """The SHA-256 of the first image of its group of near-duplicates; empty where there is none."""
    name: str
    """The file's name as it came."""

    @property
    def is_labelled(self) -> bool:
        """Return whether the image has a class and is not rejected."""
        return self.state == "labelled" and self.class_name is not None


@dataclass(frozen=True)
class ProjectContents:
    """A project's images and classes at one moment."""

    project_id: int
    project_name: str
    classes: tuple[ClassStyle, ...]
    images: tuple[ProjectImage, ...]
    """In the order in which they came."""
    changed_at: datetime | None
    """When a label was changed last."""


def project_contents(session: Session, project_id: int, project_name: str) -> ProjectContents:
    """Return a project's classes and images, all of the same moment."""
    if session.get_bind().dialect.name == "postgresql":
        # All queries are answered from one state, as SQLite does anyway.
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    changed_at = session.scalar(
        select(func.max(models.LabelRow.updated_at)).where(models.LabelRow.project_id == project_id)
    )
    names = _file_names(session, project_id)
    return ProjectContents(
        project_id,
        project_name,
        class_styles(session, project_id),
        tuple(_with_group_splits(tuple(_images(session, project_id, names)))),
        changed_at,
    )


def count_by_state(images: Sequence[ProjectImage]) -> dict[str, int]:
    """Count images by their state."""
    counts = dict.fromkeys(("labelled", "unlabelled", "rejected"), 0)
    for image in images:
        counts[image.state] += 1
    return counts


def with_provenance(
    session: Session, project_id: int, images: Sequence[ProjectImage]
) -> Iterator[tuple[ProjectImage, tuple[ProvenanceRecord, ...]]]:
    """Yield images with their provenance, that of a thousand in memory at a time."""
    for start in range(0, len(images), _CHUNK_ROWS):
        chunk = images[start : start + _CHUNK_ROWS]
        records = provenance.provenance_of(session, project_id, [image.image_id for image in chunk])
        for image in chunk:
            yield image, records[image.image_id]


def _images(session: Session, project_id: int, names: dict[int, str]) -> Iterator[ProjectImage]:
    label, image, image_class, group = (
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
            image_class.name,
            label.split,
            first.sha256,
        )
        .join(label, label.image_id == image.id)
        .outerjoin(image_class, image_class.id == label.class_id)
        .outerjoin(group, (group.image_id == image.id) & (group.project_id == project_id))
        .outerjoin(first, first.id == group.group_id)
        .where(label.project_id == project_id)
        .order_by(image.id)
        .execution_options(yield_per=_CHUNK_ROWS)
    )
    for image_id, sha256, format_name, width, height, size, state, class_name, given, first_sha256 in rows:
        yield ProjectImage(
            image_id=image_id,
            sha256=sha256,
            format=format_name,
            width_px=width,
            height_px=height,
            size_bytes=size,
            state=state,
            class_name=class_name,
            split=image_split(given, first_sha256 or sha256),
            split_given=given or "",
            duplicate_group=first_sha256 or "",
            name=names.get(image_id, ""),
        )


def _with_group_splits(images: Sequence[ProjectImage]) -> Iterator[ProjectImage]:
    """Yield images, labelled ones in the split that came with a near-duplicate of theirs."""
    given = group_splits(
        (image.duplicate_group, cast(Split, image.split_given) or None)
        for image in images
        if image.is_labelled and image.duplicate_group
    )
    for image in images:
        split = given.get(image.duplicate_group) if image.is_labelled else None
        yield replace(image, split=split) if split and split != image.split else image


def _file_names(session: Session, project_id: int) -> dict[int, str]:
    """Return each image's file name, by its id, from the place where it was found first."""
    row = models.ProvenanceRow
    rows = session.execute(
        select(row.image_id, row.address)
        .where(row.project_id == project_id)
        .order_by(row.id)
        .execution_options(yield_per=_CHUNK_ROWS)
    )
    names: dict[int, str] = {}
    for image_id, address in rows:
        if image_id not in names:
            names[image_id] = file_name(address)
    return names
