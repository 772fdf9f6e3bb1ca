"""The label history of a project: changes since an operation, and its operations described for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import exists, func, or_, select, union_all
from sqlalchemy.orm import Session

from db.labelling import Direction, LabelState, latest_operation_number
from db.models import ImageClassRow, LabelChangeRow, LabelClashRow, LabelOperationRow, LabelRow
from studio.curate import undo_log
from studio.curate.classes import display_name
from studio.curate.labels import MAX_LISTED, ImageLabel
from studio.i18n import _, counted

PAGE_SIZE = 50
_CHUNK_SIZE = 500
_MAX_DESCRIBED = 3
"""The number of groups of images that a description names."""


@dataclass(frozen=True)
class LabelChanges:
    """Labels changed since an operation. images: None for more than `MAX_LISTED`."""

    number: int
    """The newest operation's number."""
    images: tuple[ImageLabel, ...] | None


@dataclass(frozen=True)
class HistoryEntry:
    """One operation, or an undo or redo."""

    id: str
    number: int
    author: str
    direction: Direction
    at: datetime
    count: int
    """The number of images that it changed or confirmed."""
    text: str
    undone: bool
    """Whether it has been undone; for an undo, whether it has been redone."""
    can_undo: bool


class _OutcomeGroup(NamedTuple):
    """Images to which an operation gave the same label."""

    state: str
    class_id: int | None
    is_new: bool
    """Whether it added them to the project."""
    images: int


def changes_since(session: Session, project_id: int, after: int) -> LabelChanges:
    """Return the current labels of images that operations after number `after` changed or confirmed.

    Images with a clash are included, so that both authors see it.
    """
    number = latest_operation_number(session, project_id)
    if number <= after:
        return LabelChanges(number, ())
    newer = [LabelOperationRow.project_id == project_id, LabelOperationRow.number > after]
    touched = union_all(
        *(
            select(of.image_id).join(LabelOperationRow, LabelOperationRow.id == of.operation_id).where(*newer)
            for of in (LabelChangeRow, LabelClashRow)
        )
    )
    # One more than is listed, repetitions included, shows that there are too many.
    limited = touched.limit(MAX_LISTED + 1).subquery()
    images = session.scalars(select(limited.c.image_id)).all()
    if len(images) > MAX_LISTED:
        return LabelChanges(number, None)
    return LabelChanges(number, current_labels(session, project_id, sorted(set(images))))


def current_labels(session: Session, project_id: int, image_ids: Sequence[int]) -> tuple[ImageLabel, ...]:
    """Return the current labels of images of the project. image_ids: at most a few thousand."""
    rows: list[ImageLabel] = []
    for start in range(0, len(image_ids), _CHUNK_SIZE):
        found = session.execute(
            select(LabelRow.image_id, LabelRow.state, LabelRow.class_id).where(
                LabelRow.project_id == project_id,
                LabelRow.image_id.in_(image_ids[start : start + _CHUNK_SIZE]),
            )
        )
        rows += [ImageLabel(image, cast(LabelState, state), class_id) for image, state, class_id in found]
    return tuple(rows)


def history_entries(session: Session, project_id: int, before: int | None = None) -> tuple[HistoryEntry, ...]:
    """Return the newest `PAGE_SIZE` operations before number `before`, the newest first.

    Operations that changed no label and removed no class, such as a class's colour, are left out.
    """
    operation = LabelOperationRow
    wanted = select(operation).where(
        operation.project_id == project_id,
        or_(
            operation.removed_class_id.is_not(None),
            operation.undoes.is_not(None),
            exists().where(LabelChangeRow.operation_id == operation.id),
            exists().where(LabelClashRow.operation_id == operation.id),
        ),
    )
    if before is not None:
        wanted = wanted.where(operation.number < before)
    rows = session.scalars(wanted.order_by(operation.number.desc()).limit(PAGE_SIZE)).all()
    latest = undo_log.latest_ids(session, [row.id for row in rows])
    originals = undo_log.original_ids(session, [row.id for row in rows])
    linked = {*latest.values(), *originals.values()}
    known = {
        row.id: row for row in session.scalars(select(operation).where(operation.id.in_(sorted(linked))))
    }
    clashes = _count_clashes(session, [row.id for row in rows])
    names = _class_names(session, project_id)
    return tuple(
        _entry(row, known[originals[row.id]], known[latest[row.id]], clashes.get(row.id, 0), names)
        for row in rows
    )


def _entry(
    row: LabelOperationRow,
    original: LabelOperationRow,
    latest: LabelOperationRow,
    clashes: int,
    names: dict[int, str],
) -> HistoryEntry:
    groups = _outcome_groups(original)
    text = _describe(original, groups, names)
    if row.direction == "undo":
        text = _("undone: {act}").format(act=text)
    elif row.direction == "redo":
        text = _("redone: {act}").format(act=text)
    if clashes:
        left = counted(
            "{count} left as somebody else labelled it",
            "{count} left as somebody else labelled them",
            clashes,
        )
        text = f"{text}, {left}" if text else left
    in_effect = latest.direction != "undo"
    return HistoryEntry(
        id=row.id,
        number=row.number,
        author=row.author,
        direction=cast(Direction, row.direction),
        at=row.at,
        count=sum(group.images for group in _outcome_groups(row)),
        text=text,
        undone=in_effect == (row.direction == "undo"),
        can_undo=(
            row.direction != "undo"
            and in_effect
            # Images that were added stay in the project.
            and (not all(group.is_new for group in groups) or original.removed_class_id is not None)
        ),
    )


def _describe(operation: LabelOperationRow, groups: Sequence[_OutcomeGroup], names: dict[int, str]) -> str:
    """Describe an operation in one line for people."""
    if operation.removed_class_id is not None:
        name = names.get(operation.removed_class_id, "")
        into = {group.class_id for group in groups} - {None}
        if into:
            return _("class {name} merged into {into}").format(
                name=name, into=names.get(cast(int, into.pop()), "")
            )
        return _("class {name} removed").format(name=name)
    added = sum(group.images for group in groups if group.is_new)
    parts = [counted("{count} image added", "{count} images added", added)] if added else []
    largest = sorted((group for group in groups if not group.is_new), key=_by_size)
    for group in largest[:_MAX_DESCRIBED]:
        if group.state == "labelled":
            part = counted("{count} image to {{name}}", "{count} images to {{name}}", group.images)
            parts.append(part.format(name=names.get(group.class_id or 0, "")))
        elif group.state == "rejected":
            parts.append(counted("{count} rejected", "{count} rejected", group.images))
        else:
            parts.append(counted("{count} unlabelled", "{count} unlabelled", group.images))
    if more := sum(group.images for group in largest[_MAX_DESCRIBED:]):
        parts.append(counted("{count} more", "{count} more", more))
    return ", ".join(parts)


def _by_size(group: _OutcomeGroup) -> tuple[int, str, int]:
    """Return a sort key: the largest first, equal ones in the order in which their classes were made."""
    return -group.images, group.state, group.class_id or 0


def _outcome_groups(operation: LabelOperationRow) -> list[_OutcomeGroup]:
    return [
        _OutcomeGroup(state, class_id, bool(is_new), count)
        for state, class_id, is_new, count in operation.outcome
    ]


def _count_clashes(session: Session, operation_ids: Sequence[str]) -> dict[str, int]:
    clash = LabelClashRow
    rows = session.execute(
        select(clash.operation_id, func.count())
        .where(clash.operation_id.in_(operation_ids))
        .group_by(clash.operation_id)
    )
    return dict(rows.all())


def _class_names(session: Session, project_id: int) -> dict[int, str]:
    """Return the names of the project's classes by id, removed ones included."""
    rows = session.execute(
        select(ImageClassRow.id, ImageClassRow.name).where(ImageClassRow.project_id == project_id)
    )
    return {class_id: display_name(name) for class_id, name in rows}
