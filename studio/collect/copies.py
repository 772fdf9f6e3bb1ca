"""The groups of pictures that are nearly the same, as people see them, and setting all but the largest aside.

Nothing here happens by itself: a burst of the camera is a group of near copies too, and is meant.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models
from db.labelling import Target, record


@dataclass(frozen=True)
class Member:
    """A picture of a group. class_id and class_name: None while it is unlabelled."""

    image_id: int
    sha256: str
    name: str
    """Where it was found first."""
    class_id: int | None
    class_name: str | None
    width_px: int
    height_px: int
    size_bytes: int


@dataclass(frozen=True)
class Group:
    """Two or more pictures that are nearly the same, none of them rejected; the keeper comes first."""

    id: int
    members: tuple[Member, ...]

    @property
    def keeper(self) -> Member:
        """The largest: by pixels, then by bytes, then the one that came first."""
        return self.members[0]


@dataclass(frozen=True)
class CopyCounts:
    """How many groups there are, and how many pictures in them besides their keepers."""

    groups: int
    pictures_beyond_keepers: int


def copy_groups(session: Session, project_id: int) -> tuple[Group, ...]:
    """Return the project's groups of near copies, by their ids.

    Rejected pictures have been decided about and are left out, and so is a group of which one is left.
    """
    name = (
        select(models.Provenance.address)
        .where(
            models.Provenance.project_id == project_id,
            models.Provenance.image_id == models.CopyGroup.image_id,
        )
        .order_by(models.Provenance.id)
        .limit(1)
        .scalar_subquery()
    )
    rows = session.execute(
        select(
            models.CopyGroup.group_id,
            models.Image.id,
            models.Image.sha256,
            name,
            models.ImageClass.id,
            models.ImageClass.name,
            models.Image.width_px,
            models.Image.height_px,
            models.Image.size_bytes,
        )
        .join(models.Image, models.Image.id == models.CopyGroup.image_id)
        .join(
            models.Label,
            (models.Label.project_id == models.CopyGroup.project_id)
            & (models.Label.image_id == models.CopyGroup.image_id),
        )
        .join(models.ImageClass, models.ImageClass.id == models.Label.class_id, isouter=True)
        .where(models.CopyGroup.project_id == project_id, models.Label.state != "rejected")
        .order_by(
            models.CopyGroup.group_id,
            (models.Image.width_px * models.Image.height_px).desc(),
            models.Image.size_bytes.desc(),
            models.Image.id,
        )
    )
    members: dict[int, list[Member]] = defaultdict(list)
    for group_id, image_id, sha256, address, *others in rows:
        members[group_id].append(Member(image_id, sha256, address or sha256, *others))
    return tuple(Group(group_id, tuple(all_)) for group_id, all_ in members.items() if len(all_) > 1)


def count(session: Session, project_id: int) -> CopyCounts:
    """Count what `copy_groups` returns."""
    of_group = (
        select(func.count().label("members"))
        .select_from(models.CopyGroup)
        .join(
            models.Label,
            (models.Label.project_id == models.CopyGroup.project_id)
            & (models.Label.image_id == models.CopyGroup.image_id),
        )
        .where(models.CopyGroup.project_id == project_id, models.Label.state != "rejected")
        .group_by(models.CopyGroup.group_id)
        .having(func.count() > 1)
        .subquery()
    )
    groups, members = session.execute(select(func.count(), func.sum(of_group.c.members))).one()
    return CopyCounts(groups, int(members or 0) - groups)


def set_copies_aside(session: Session, project_id: int, *, operation_id: str, now: datetime) -> int:
    """Reject all pictures of all groups but the keepers, as one operation that can be undone.

    A keeper without a class gets that of its group where the others agree on one. Returns how many pictures
    were rejected: none when the operation was done before.
    """
    if session.get(models.LabelOperation, operation_id) is not None:
        return 0
    targets: dict[int, Target] = {}
    aside = 0
    for group in copy_groups(session, project_id):
        keeper, *others = group.members
        targets.update({member.image_id: ("rejected", None) for member in others})
        aside += len(others)
        classes = {member.class_id for member in others if member.class_id is not None}
        if keeper.class_id is None and len(classes) == 1:
            targets[keeper.image_id] = ("labelled", classes.pop())
    if targets:
        record(session, operation_id=operation_id, project_id=project_id, at=now, targets=targets)
    return aside
