"""A project's images as the grid shows them: counts, file names, one image, a screenful of images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.labelling import LabelState
from db.models import (
    DuplicateGroupRow,
    FindingRow,
    ImageClassRow,
    ImageRow,
    LabelClashRow,
    LabelOperationRow,
    LabelRow,
    ProvenanceRow,
)
from studio.curate.analysis_results import IMAGE_ISSUE_KINDS, LABEL_ISSUE, UNLABELLED_KINDS, min_score
from studio.datasets.split_query import image_split, split_columns
from studio.datasets.splits import Split
from studio.images.provenance import file_name

MAX_ITEMS = 500
"""The largest number of images in one request; databases limit the parameters of a statement."""


@dataclass(frozen=True)
class ProjectImage:
    """One image of a project."""

    id: int
    sha256: str
    state: LabelState
    class_name: str | None
    name: str
    """The file's name where it was found first."""
    width_px: int
    height_px: int
    format: str
    """Pillow's name of the format: JPEG, PNG, …"""
    size_bytes: int


@dataclass(frozen=True)
class ImageCounts:
    """The number of a project's images by class, in the classes' order, and by state."""

    by_class: Mapping[str, int]
    unlabelled: int
    rejected: int

    @property
    def labelled(self) -> int:
        """Images with a class."""
        return sum(self.by_class.values())

    @property
    def total(self) -> int:
        """All images, rejected ones included."""
        return self.labelled + self.unlabelled + self.rejected


def count_images(session: Session, project_id: int) -> ImageCounts:
    """Count a project's images; a class without any counts 0."""
    found = {
        (state, class_id): number
        for state, class_id, number in session.execute(
            select(LabelRow.state, LabelRow.class_id, func.count())
            .where(LabelRow.project_id == project_id)
            .group_by(LabelRow.state, LabelRow.class_id)
        )
    }
    classes = session.execute(
        select(ImageClassRow.id, ImageClassRow.name)
        .where(ImageClassRow.project_id == project_id, ImageClassRow.removed_at.is_(None))
        .order_by(ImageClassRow.position, ImageClassRow.id)
    )
    return ImageCounts(
        by_class={name: found.get(("labelled", class_id), 0) for class_id, name in classes},
        unlabelled=sum(number for (state, _id), number in found.items() if state == "unlabelled"),
        rejected=sum(number for (state, _id), number in found.items() if state == "rejected"),
    )


def project_image(session: Session, project_id: int, image_id: int) -> ProjectImage | None:
    """Return one image of a project, or None where it has no image of this id."""
    label, image = LabelRow, ImageRow
    row = session.execute(
        select(label, image, ImageClassRow.name)
        .join(image, image.id == label.image_id)
        .outerjoin(ImageClassRow, ImageClassRow.id == label.class_id)
        .where(label.project_id == project_id, label.image_id == image_id)
    ).one_or_none()
    if row is None:
        return None
    label_row, image_row, class_name = row
    return ProjectImage(
        id=image_row.id,
        sha256=image_row.sha256,
        state=cast(LabelState, label_row.state),
        class_name=class_name,
        name=file_names(session, project_id, [image_row.id]).get(image_row.id, ""),
        width_px=image_row.width_px,
        height_px=image_row.height_px,
        format=image_row.format,
        size_bytes=image_row.size_bytes,
    )


def file_names(session: Session, project_id: int, image_ids: Iterable[int]) -> dict[int, str]:
    """Return the name of each image's file where it was found first. image_ids: at most a few hundred."""
    rows = session.execute(
        select(ProvenanceRow.image_id, ProvenanceRow.address)
        .where(ProvenanceRow.project_id == project_id, ProvenanceRow.image_id.in_(list(image_ids)))
        .order_by(ProvenanceRow.id.desc())
    )
    return {image: file_name(address) for image, address in rows}


class ClassScore(NamedTuple):
    """A class that an analysis suggests for an image, with its score, 0 to 1."""

    class_id: int
    score: float


@dataclass(frozen=True)
class GridItem:
    """One image of the grid."""

    id: int
    sha256: str
    name: str
    """The file's name where it was found first."""
    state: LabelState
    class_id: int | None
    width_px: int
    height_px: int
    suggestion: ClassScore | None
    """For an unlabelled image."""
    label_issue: ClassScore | None
    """The class that a labelled image may be instead."""
    image_issues: tuple[str, ...]
    """Kinds of image issues."""
    group: int | None
    """The duplicate group that it shares with others that are not rejected."""
    keeper: bool
    """Whether it is the largest of them."""
    split: Split
    clash: tuple[LabelState, int | None] | None
    """The label that somebody else tried to set."""


@dataclass(frozen=True)
class _OpenResults:
    suggestion: ClassScore | None = None
    label_issue: ClassScore | None = None
    image_issues: tuple[str, ...] = ()


def grid_items(session: Session, project_id: int, image_ids: Sequence[int]) -> tuple[GridItem, ...]:
    """Return images of the project in the order of `image_ids`; ids that it does not have are left out.

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
                *(
                    c.label(n)
                    for c, n in zip(split_columns(project_id, label.image_id), _SPLIT_COLUMNS, strict=True)
                ),
            )
            .join(label, label.image_id == ImageRow.id)
            .where(label.project_id == project_id, label.image_id.in_(image_ids))
        )
    }
    names = file_names(session, project_id, rows)
    results = _open_results(
        session, project_id, {row.id: (row.state, row.operation_number) for row in rows.values()}
    )
    groups = _duplicate_groups(session, project_id, rows)
    clashes = _clashes(session, project_id, rows)
    return tuple(
        GridItem(
            id=row.id,
            sha256=row.sha256,
            name=names.get(row.id, ""),
            state=row.state,
            class_id=row.class_id,
            width_px=row.width_px,
            height_px=row.height_px,
            suggestion=results[row.id].suggestion,
            label_issue=results[row.id].label_issue,
            image_issues=results[row.id].image_issues,
            group=groups.get(row.id, (None, False))[0],
            keeper=groups.get(row.id, (None, False))[1],
            split=image_split(row.given, row.digest),
            clash=clashes.get(row.id),
        )
        for row in (rows[image] for image in dict.fromkeys(image_ids) if image in rows)
    )


_SPLIT_COLUMNS = ("given", "digest")


def _open_results(
    session: Session, project_id: int, labels: Mapping[int, tuple[str, int]]
) -> dict[int, _OpenResults]:
    """Return the open results of each image. labels: its state and the number of its last operation."""
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
            FindingRow.kind.in_(("suggestion", LABEL_ISSUE, *IMAGE_ISSUE_KINDS)),
            # Not of a class that has been removed since.
            ImageClassRow.removed_at.is_(None),
        )
        .order_by(FindingRow.image_id)
    )
    suggestions: dict[tuple[int, str], ClassScore] = {}
    image_issues: dict[int, list[str]] = {}
    for image, kind, class_id, score, number in rows:
        state, labelled_at = labels[image]
        if kind in IMAGE_ISSUE_KINDS:
            image_issues.setdefault(image, []).append(kind)
        elif class_id is not None and score >= (min_score(kind) or 0):
            of_unlabelled = kind in UNLABELLED_KINDS
            if state == ("unlabelled" if of_unlabelled else "labelled") and (
                of_unlabelled or labelled_at <= number
            ):
                suggestions[image, kind] = ClassScore(class_id, score)
    return {
        image: _OpenResults(
            suggestions.get((image, "suggestion")),
            suggestions.get((image, LABEL_ISSUE)),
            tuple(kind for kind in IMAGE_ISSUE_KINDS if kind in image_issues.get(image, ())),
        )
        for image in labels
    }


def _duplicate_groups(
    session: Session, project_id: int, image_ids: Iterable[int]
) -> dict[int, tuple[int, bool]]:
    """Return the group of each image that has a near-duplicate, and whether it is the one to keep."""
    group = DuplicateGroupRow
    own = session.execute(
        select(group.image_id, group.group_id).where(
            group.project_id == project_id, group.image_id.in_(list(image_ids))
        )
    )
    groups = dict(own.all())
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
) -> dict[int, tuple[LabelState, int | None]]:
    """Return the label that a clash kept from being written last, by image."""
    clash = LabelClashRow
    rows = session.execute(
        select(clash.image_id, clash.state, clash.class_id)
        .join(LabelOperationRow, LabelOperationRow.id == clash.operation_id)
        .where(clash.project_id == project_id, clash.image_id.in_(list(image_ids)))
        .order_by(LabelOperationRow.number)
    )
    return {image: (state, class_id) for image, state, class_id in rows}  # type: ignore[misc]
