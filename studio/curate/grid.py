"""The pictures of a project a page at a time, and how many there are of each class and state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import ColumnElement, Select, func, select, true
from sqlalchemy.orm import Session

from db import models
from studio.collect.papers import file_name, has_licence

State = Literal["unlabelled", "labelled", "rejected"]
Licence = Literal["all", "unknown", "known"]
"""Which pictures are meant. Unknown: from elsewhere, and no place where they were found states a licence."""


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


def counts(session: Session, project_id: int, licence: Licence = "all") -> Counts:
    """Count a project's pictures, all or those of known or unknown licence; a class without any counts 0."""
    found = {
        (state, class_id): number
        for state, class_id, number in session.execute(
            select(models.Label.state, models.Label.class_id, func.count())
            .where(models.Label.project_id == project_id, _of(licence, project_id))
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


def page(
    session: Session,
    project_id: int,
    *,
    state: State,
    class_name: str | None,
    number: int,
    size: int,
    licence: Licence = "all",
) -> tuple[Picture, ...]:
    """Return page `number` (from 1) of `size` pictures of a state, or of a class in it."""
    wanted = _select(project_id).where(models.Label.state == state, _of(licence, project_id))
    if class_name is not None:
        wanted = wanted.where(models.ImageClass.name == class_name)
    wanted = wanted.order_by(models.Label.image_id).limit(size).offset((number - 1) * size)
    return _pictures(session, project_id, wanted)


def picture(session: Session, project_id: int, image_id: int) -> Picture | None:
    """Return one picture of a project, or None where it has none of that id."""
    found = _pictures(session, project_id, _select(project_id).where(models.Label.image_id == image_id))
    return found[0] if found else None


def _of(licence: Licence, project_id: int) -> ColumnElement[bool]:
    if licence == "all":
        return true()
    known = has_licence(project_id, models.Label.image_id)
    return known if licence == "known" else ~known


def _select(project_id: int) -> "Select[models.Label, models.Image, str]":
    label, image = models.Label, models.Image
    return (
        select(label, image, models.ImageClass.name)
        .join(image, image.id == label.image_id)
        .outerjoin(models.ImageClass, models.ImageClass.id == label.class_id)
        .where(label.project_id == project_id)
    )


def _pictures(
    session: Session, project_id: int, wanted: "Select[models.Label, models.Image, str]"
) -> tuple[Picture, ...]:
    rows = session.execute(wanted).all()
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
            format=found.format,
            size_bytes=found.size_bytes,
        )
        for row, found, name in rows
    )


def _names(session: Session, project_id: int, image_ids: list[int]) -> dict[int, str]:
    rows = session.execute(
        select(models.Provenance.image_id, models.Provenance.address)
        .where(models.Provenance.project_id == project_id, models.Provenance.image_id.in_(image_ids))
        .order_by(models.Provenance.id.desc())
    )
    return {image: file_name(address) for image, address in rows}
