"""What the grid shows of each image, a screenful at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models
from db.models import (
    DuplicateGroupRow,
    FindingRow,
    ImageClassRow,
    ImageRow,
    LabelClashRow,
    LabelOperationRow,
    LabelRow,
)
from studio.curate.findings import ODD, WAITING, least_score
from studio.datasets.split_query import side_columns, side_of
from studio.datasets.splits import Split
from studio.images.provenance import file_name

State = Literal["unlabelled", "labelled", "rejected"]


@dataclass(frozen=True)
class ProjectImage:
    """What is known of one image at a glance."""

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
    """How many images a project has: by class (in the classes' order), and in all."""

    by_class: Mapping[str, int]
    unlabelled: int
    rejected: int

    @property
    def labelled(self) -> int:
        """Images that have a class."""
        return sum(self.by_class.values())

    @property
    def total(self) -> int:
        """All images, rejected ones too."""
        return self.labelled + self.unlabelled + self.rejected


def counts(session: Session, project_id: int) -> Counts:
    """Count a project's images; a class without any counts 0."""
    found = {
        (state, class_id): number
        for state, class_id, number in session.execute(
            select(models.LabelRow.state, models.LabelRow.class_id, func.count())
            .where(models.LabelRow.project_id == project_id)
            .group_by(models.LabelRow.state, models.LabelRow.class_id)
        )
    }
    classes = session.execute(
        select(models.ImageClassRow.id, models.ImageClassRow.name)
        .where(models.ImageClassRow.project_id == project_id, models.ImageClassRow.removed_at.is_(None))
        .order_by(models.ImageClassRow.position, models.ImageClassRow.id)
    )
    return Counts(
        by_class={name: found.get(("labelled", class_id), 0) for class_id, name in classes},
        unlabelled=sum(number for (state, _id), number in found.items() if state == "unlabelled"),
        rejected=sum(number for (state, _id), number in found.items() if state == "rejected"),
    )


def project_image(session: Session, project_id: int, image_id: int) -> ProjectImage | None:
    """Return one image of a project, or None where it has none of that id."""
    label, image = models.LabelRow, models.ImageRow
    row = session.execute(
        select(label, image, models.ImageClassRow.name)
        .join(image, image.id == label.image_id)
        .outerjoin(models.ImageClassRow, models.ImageClassRow.id == label.class_id)
        .where(label.project_id == project_id, label.image_id == image_id)
    ).one_or_none()
    if row is None:
        return None
    labelled, found, class_name = row
    return ProjectImage(
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
    """Return the names of images' files as they came first. image_ids: at most a few hundred."""
    rows = session.execute(
        select(models.ProvenanceRow.image_id, models.ProvenanceRow.address)
        .where(
            models.ProvenanceRow.project_id == project_id, models.ProvenanceRow.image_id.in_(list(image_ids))
        )
        .order_by(models.ProvenanceRow.id.desc())
    )
    return {image: file_name(address) for image, address in rows}


MOST_ITEMS = 500
"""As many go into one question; databases limit them."""


class Guess(NamedTuple):
    """A class that the studio found an image to be, and how sure it is, 0 to 1."""

    class_id: int
    score: float


@dataclass(frozen=True)
class Item:
    """One image of the grid."""

    id: int
    sha256: str
    name: str
    """The file's name as it came."""
    state: State
    class_id: int | None
    width_px: int
    height_px: int
    suggestion: Guess | None
    """For one without a label."""
    doubt: Guess | None
    """What a labelled one might be instead."""
    odd: tuple[str, ...]
    """Kinds of findings about the image itself."""
    group: int | None
    """The group of near copies that it shares with others that are not rejected."""
    keeper: bool
    """Whether it is the largest of them."""
    split: Split
    clash: tuple[State, int | None] | None
    """What somebody else wanted it to be."""


@dataclass(frozen=True)
class _Found:
    suggestion: Guess | None = None
    doubt: Guess | None = None
    odd: tuple[str, ...] = ()


def items(session: Session, project_id: int, image_ids: Sequence[int]) -> tuple[Item, ...]:
    """Return images of the project in the order asked for; one that it does not have is left out.

    image_ids: at most `MOST_ITEMS`.
    """
    label = LabelRow
    rows = {
        row.id: row
        for row in session.execute(
            select(
                ImageRow.id,
                ImageRow.sha256,
                ImageRow.width_px,
                ImageRow.height_px,
                label.state,
                label.class_id,
                label.operation_number,
                *(c.label(n) for c, n in zip(side_columns(project_id, label.image_id), _SIDE, strict=True)),
            )
            .join(label, label.image_id == ImageRow.id)
            .where(label.project_id == project_id, label.image_id.in_(image_ids))
        )
    }
    named = names(session, project_id, rows)
    found = _found(session, project_id, {row.id: (row.state, row.operation_number) for row in rows.values()})
    groups = _groups(session, project_id, rows)
    clashes = _clashes(session, project_id, rows)
    return tuple(
        Item(
            id=row.id,
            sha256=row.sha256,
            name=named.get(row.id, ""),
            state=row.state,
            class_id=row.class_id,
            width_px=row.width_px,
            height_px=row.height_px,
            suggestion=found[row.id].suggestion,
            doubt=found[row.id].doubt,
            odd=found[row.id].odd,
            group=groups.get(row.id, (None, False))[0],
            keeper=groups.get(row.id, (None, False))[1],
            split=side_of(row.given, row.digest),
            clash=clashes.get(row.id),
        )
        for row in (rows[image] for image in dict.fromkeys(image_ids) if image in rows)
    )


_SIDE = ("given", "digest")


def _found(session: Session, project_id: int, labels: Mapping[int, tuple[str, int]]) -> dict[int, _Found]:
    """Return what is open about each image. labels: its state, and when it was decided about."""
    rows = session.execute(
        select(
            FindingRow.image_id,
            FindingRow.kind,
            FindingRow.class_id,
            FindingRow.score,
            FindingRow.operation_number,
        )
        .outerjoin(ImageClassRow, ImageClassRow.id == FindingRow.class_id)
        .where(
            FindingRow.project_id == project_id,
            FindingRow.image_id.in_(labels),
            FindingRow.kind.in_(("suggestion", "doubtful", *ODD)),
            # A guess at a class that has been removed since is none.
            ImageClassRow.removed_at.is_(None),
        )
        .order_by(FindingRow.image_id)
    )
    guesses: dict[tuple[int, str], Guess] = {}
    odd: dict[int, list[str]] = {}
    for image, kind, class_id, score, number in rows:
        state, decided = labels[image]
        if kind in ODD:
            odd.setdefault(image, []).append(kind)
        elif class_id is not None and score >= (least_score(kind) or 0):
            waiting = kind in WAITING
            if state == ("unlabelled" if waiting else "labelled") and (waiting or decided <= number):
                guesses[image, kind] = Guess(class_id, score)
    return {
        image: _Found(
            guesses.get((image, "suggestion")),
            guesses.get((image, "doubtful")),
            tuple(kind for kind in ODD if kind in odd.get(image, ())),
        )
        for image in labels
    }


def _groups(session: Session, project_id: int, image_ids: Iterable[int]) -> dict[int, tuple[int, bool]]:
    """Return the group of each image that has a near copy, and whether it is the one to keep."""
    group = DuplicateGroupRow
    mine = session.execute(
        select(group.image_id, group.group_id).where(
            group.project_id == project_id, group.image_id.in_(list(image_ids))
        )
    )
    groups = dict(mine.all())
    wanted = sorted(set(groups.values()))
    if not wanted:
        return {}
    members: dict[int, list[int]] = {}
    rows = session.execute(
        select(group.group_id, group.image_id)
        .join(ImageRow, ImageRow.id == group.image_id)
        .join(LabelRow, (LabelRow.project_id == group.project_id) & (LabelRow.image_id == group.image_id))
        .where(group.project_id == project_id, group.group_id.in_(wanted), LabelRow.state != "rejected")
        # As in `studio.images.near_duplicates`: the keeper comes first.
        .order_by((ImageRow.width_px * ImageRow.height_px).desc(), ImageRow.size_bytes.desc(), ImageRow.id)
    )
    for group_id, image in rows:
        members.setdefault(group_id, []).append(image)
    return {
        image: (group_id, members[group_id][0] == image)
        for image, group_id in groups.items()
        if set(members.get(group_id, ())) - {image}
    }


def _clashes(
    session: Session, project_id: int, image_ids: Iterable[int]
) -> dict[int, tuple[State, int | None]]:
    """Return what was wanted of each image last and not written."""
    clash = LabelClashRow
    rows = session.execute(
        select(clash.image_id, clash.state, clash.class_id)
        .join(LabelOperationRow, LabelOperationRow.id == clash.operation_id)
        .where(clash.project_id == project_id, clash.image_id.in_(list(image_ids)))
        .order_by(LabelOperationRow.number)
    )
    return {image: (state, class_id) for image, state, class_id in rows}  # type: ignore[misc]
