"""The split of each image of a project, as columns of a query."""

from typing import Any, cast

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.orm import QueryableAttribute, aliased

from db.models import DuplicateGroupRow, ImageRow, LabelRow
from studio.datasets.splits import SPLITS, Split, split_of

_VALIDATION_PERCENTAGE = _TESTING_PERCENTAGE = 10
_SEED = 0
"""The defaults of a retraining."""


def split_columns(project_id: int, image: QueryableAttribute[int]) -> list[ColumnElement[Any]]:
    """Return the columns for the arguments of `image_split`. image: the column of the image's id."""
    label, group, file = aliased(LabelRow), aliased(DuplicateGroupRow), aliased(ImageRow)
    given = select(label.split).where(label.project_id == project_id, label.image_id == image)
    first = select(group.group_id).where(group.project_id == project_id, group.image_id == image)
    # Two levels down, SQLAlchemy does not correlate by itself.
    first = first.correlate(image.class_)
    digest = select(file.sha256).where(file.id == func.coalesce(first.scalar_subquery(), image))
    return [
        func.coalesce(_given_to_group(project_id, image), given.scalar_subquery()),
        digest.scalar_subquery(),
    ]


def _given_to_group(project_id: int, image: QueryableAttribute[int]) -> ColumnElement[str | None]:
    """Return `group_splits` in SQL for one image: over its labelled near-duplicates and itself."""
    mine, other, label = aliased(DuplicateGroupRow), aliased(DuplicateGroupRow), aliased(LabelRow)
    ranked = case({split: f"{rank}{split}" for rank, split in enumerate(SPLITS)}, value=label.split)
    return (
        select(func.substr(func.max(ranked), 2))
        .where(
            mine.project_id == project_id,
            mine.image_id == image,
            other.project_id == project_id,
            other.group_id == mine.group_id,
            label.project_id == project_id,
            label.image_id == other.image_id,
            or_(label.state == "labelled", label.image_id == mine.image_id),
        )
        .scalar_subquery()
    )


def image_split(given: str | None, digest: str) -> Split:
    """Return an image's split in a retraining with default settings.

    given: the split that came with it or a near-duplicate. digest: its SHA-256, or that of the first image of
    its group of near-duplicates, so that all of the group have the same split.
    """
    if given is not None:
        return cast(Split, given)
    return split_of(digest, _VALIDATION_PERCENTAGE, _TESTING_PERCENTAGE, _SEED)
