"""How many pictures a project has of each class and state, and one of them with what is known of its file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models
from studio.collect.papers import file_name

State = Literal["unlabelled", "labelled", "rejected"]


@dataclass(frozen=True)
class Picture:
    """What is known of one picture at a glance."""

    id: int
    sha256: str
    state: State
    class_name: str | None
    name: str
    """The file's name as it came."""
    width_px: int
    height_px: int
    format: str
    """Pillow's name of the format: JPEG, PNG, …"""
    size_bytes: int


@dataclass(frozen=True)
class Counts:
    """How many pictures a project has: by class (in the classes' order), and in all."""

    by_class: Mapping[str, int]
    unlabelled: int
    rejected: int

    @property
    def labelled(self) -> int:
        """Pictures that have a class."""
        return sum(self.by_class.values())

    @property
    def total(self) -> int:
        """All pictures, rejected ones too."""
        return self.labelled + self.unlabelled + self.rejected


def counts(session: Session, project_id: int) -> Counts:
    """Count a project's pictures; a class without any counts 0."""
    found = {
        (state, class_id): number
        for state, class_id, number in session.execute(
            select(models.Label.state, models.Label.class_id, func.count())
            .where(models.Label.project_id == project_id)
            .group_by(models.Label.state, models.Label.class_id)
        )
    }
    classes = session.execute(
        select(models.ImageClass.id, models.ImageClass.name)
        .where(models.ImageClass.project_id == project_id, models.ImageClass.removed_at.is_(None))
        .order_by(models.ImageClass.position, models.ImageClass.id)
    )
    return Counts(
        by_class={name: found.get(("labelled", class_id), 0) for class_id, name in classes},
        unlabelled=sum(number for (state, _id), number in found.items() if state == "unlabelled"),
        rejected=sum(number for (state, _id), number in found.items() if state == "rejected"),
    )


def picture(session: Session, project_id: int, image_id: int) -> Picture | None:
    """Return one picture of a project, or None where it has none of that id."""
    label, image = models.Label, models.Image
    row = session.execute(
        select(label, image, models.ImageClass.name)
        .join(image, image.id == label.image_id)
        .outerjoin(models.ImageClass, models.ImageClass.id == label.class_id)
        .where(label.project_id == project_id, label.image_id == image_id)
    ).one_or_none()
    if row is None:
        return None
    labelled, found, class_name = row
    return Picture(
        id=found.id,
        sha256=found.sha256,
        state=cast(State, labelled.state),
        class_name=class_name,
        name=names(session, project_id, [found.id]).get(found.id, ""),
        width_px=found.width_px,
        height_px=found.height_px,
        format=found.format,
        size_bytes=found.size_bytes,
    )


def names(session: Session, project_id: int, image_ids: Iterable[int]) -> dict[int, str]:
    """Return the names of pictures' files as they came first. image_ids: at most a few hundred."""
    rows = session.execute(
        select(models.Provenance.image_id, models.Provenance.address)
        .where(models.Provenance.project_id == project_id, models.Provenance.image_id.in_(list(image_ids)))
        .order_by(models.Provenance.id.desc())
    )
    return {image: file_name(address) for image, address in rows}
