"""The pictures of a project a page at a time, and how many there are of each class and state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models

State = Literal["unlabelled", "labelled", "rejected"]


@dataclass(frozen=True)
class Picture:
    """What the grid shows of one picture."""

    id: int
    sha256: str
    state: State
    class_name: str | None
    name: str
    """The file's name as it came."""
    width_px: int
    height_px: int


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
        .where(models.ImageClass.project_id == project_id)
        .order_by(models.ImageClass.position, models.ImageClass.id)
    )
    return Counts(
        by_class={name: found.get(("labelled", class_id), 0) for class_id, name in classes},
        unlabelled=sum(number for (state, _id), number in found.items() if state == "unlabelled"),
        rejected=sum(number for (state, _id), number in found.items() if state == "rejected"),
    )


def page(
    session: Session, project_id: int, *, state: State, class_name: str | None, number: int, size: int
) -> tuple[Picture, ...]:
    """Return page `number` (from 1) of `size` pictures of a state, or of a class in it."""
    label, image = models.Label, models.Image
    wanted = (
        select(label, image, models.ImageClass.name)
        .join(image, image.id == label.image_id)
        .outerjoin(models.ImageClass, models.ImageClass.id == label.class_id)
        .where(label.project_id == project_id, label.state == state)
    )
    if class_name is not None:
        wanted = wanted.where(models.ImageClass.name == class_name)
    rows = session.execute(wanted.order_by(label.image_id).limit(size).offset((number - 1) * size)).all()
    names = _names(session, project_id, [found.id for _label, found, _class in rows])
    return tuple(
        Picture(
            id=found.id,
            sha256=found.sha256,
            state=cast(State, row.state),
            class_name=name,
            name=names.get(found.id, ""),
            width_px=found.width_px,
            height_px=found.height_px,
        )
        for row, found, name in rows
    )


def _names(session: Session, project_id: int, image_ids: list[int]) -> dict[int, str]:
    rows = session.execute(
        select(models.Provenance.image_id, models.Provenance.address)
        .where(models.Provenance.project_id == project_id, models.Provenance.image_id.in_(image_ids))
        .order_by(models.Provenance.id.desc())
    )
    return {image: address.replace("\\", "/").rpartition("/")[2] for image, address in rows}
