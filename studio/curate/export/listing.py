"""The pictures of a project as they are now, light enough to hold all of them while they are exported."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from db import models
from studio.collect.class_looks import ClassLook, class_looks
from studio.collect.papers import file_name
from studio.curate.sides import side_of
from studio.curate.split import Split, given_of_groups

_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Listed:
    """A picture of the project."""

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
    """The SHA-256 of the first picture of those that are nearly the same; empty where there are none."""
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
    pictures: tuple[Listed, ...]
    """In the order in which they came."""
    changed_at: datetime | None
    """When somebody last decided about a picture."""


def listing(session: Session, project_id: int, project: str) -> Listing:
    """Return a project's classes and pictures, in one look."""
    if session.get_bind().dialect.name == "postgresql":
        # All questions are answered from one state, as SQLite does anyway.
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    changed_at = session.scalar(
        select(func.max(models.Label.updated_at)).where(models.Label.project_id == project_id)
    )
    names = _names(session, project_id)
    return Listing(
        project_id,
        project,
        class_looks(session, project_id),
        tuple(_together(tuple(_pictures(session, project_id, names)))),
        changed_at,
    )


def _pictures(session: Session, project_id: int, names: dict[int, str]) -> Iterator[Listed]:
    label, image, kind, group = models.Label, models.Image, models.ImageClass, models.CopyGroup
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
    for image_id, sha256, format_name, width, height, size, state, class_name, given, leader in rows:
        yield Listed(
            image_id=image_id,
            sha256=sha256,
            format=format_name,
            width_px=width,
            height_px=height,
            size_bytes=size,
            state=state,
            class_name=class_name,
            split=side_of(given, leader or sha256),
            split_given=given or "",
            copy_group=leader or "",
            name=names.get(image_id, ""),
        )


def _together(pictures: Sequence[Listed]) -> Iterator[Listed]:
    """Yield pictures, those to be learnt from on the side of the near copies that came with a split."""
    learnt = (
        (p.copy_group, cast(Split, p.split_given) or None) for p in pictures if p.labelled and p.copy_group
    )
    given = given_of_groups(learnt)
    for picture in pictures:
        side = given.get(picture.copy_group) if picture.labelled else None
        yield replace(picture, split=side) if side and side != picture.split else picture


def _names(session: Session, project_id: int) -> dict[int, str]:
    """Return each picture's name as the place says where it was found first."""
    found = models.Provenance
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


def by_state(pictures: Sequence[Listed]) -> dict[str, int]:
    """Count pictures by their state."""
    counts = dict.fromkeys(("labelled", "unlabelled", "rejected"), 0)
    for picture in pictures:
        counts[picture.state] += 1
    return counts
