"""The history of a project's labels: what has changed since, and who did what, told for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import exists, func, or_, select, union_all
from sqlalchemy.orm import Session

from db.labelling import Direction, newest_number
from db.models import ImageClassRow, LabelChangeRow, LabelClashRow, LabelOperationRow, LabelRow
from studio.curate import undo_log
from studio.curate.classes import shown_name
from studio.curate.labels import MOST_LISTED, Change
from studio.i18n import _, counted

PAGE = 50
_CHUNK = 500
_MOST_GROUPS = 3
"""How many classes an act's text names."""


@dataclass(frozen=True)
class Changes:
    """What others have done. images: None where they are too many to list."""

    number: int
    """How far the history goes now."""
    images: tuple[Change, ...] | None


@dataclass(frozen=True)
class Entry:
    """One act, or the undoing of one."""

    id: str
    number: int
    author: str
    direction: Direction
    at: datetime
    count: int
    """How many images it decided about."""
    text: str
    undone: bool
    """Whether it has been taken back; for an undo, whether it has been redone."""
    can_undo: bool


class _Group(NamedTuple):
    """Images that an operation made the same."""

    state: str
    class_id: int | None
    came: bool
    """Whether it brought them into the project."""
    images: int


def changes(session: Session, project_id: int, after: int) -> Changes:
    """Return the images that operations after number `after` decided about, as they are now.

    Those are among them for which a decision was refused, so that both sides see the clash.
    """
    number = newest_number(session, project_id)
    if number <= after:
        return Changes(number, ())
    newer = [LabelOperationRow.project_id == project_id, LabelOperationRow.number > after]
    touched = union_all(
        *(
            select(of.image_id).join(LabelOperationRow, LabelOperationRow.id == of.operation_id).where(*newer)
            for of in (LabelChangeRow, LabelClashRow)
        )
    )
    # One too many, with repetitions, already says that there are too many.
    some = touched.limit(MOST_LISTED + 1).subquery()
    images = session.scalars(select(some.c.image_id)).all()
    if len(images) > MOST_LISTED:
        return Changes(number, None)
    return Changes(number, as_they_are(session, project_id, sorted(set(images))))


def as_they_are(session: Session, project_id: int, image_ids: Sequence[int]) -> tuple[Change, ...]:
    """Return what images of the project are now. image_ids: at most a few thousand."""
    rows: list[Change] = []
    for start in range(0, len(image_ids), _CHUNK):
        found = session.execute(
            select(LabelRow.image_id, LabelRow.state, LabelRow.class_id).where(
                LabelRow.project_id == project_id, LabelRow.image_id.in_(image_ids[start : start + _CHUNK])
            )
        )
        rows += [cast(Change, tuple(row)) for row in found]
    return tuple(rows)


def entries(session: Session, project_id: int, before: int | None = None) -> tuple[Entry, ...]:
    """Return the newest `PAGE` acts before number `before`, the newest first.

    What changed no image and removed no class, such as giving a class a colour, is not among them.
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
    rows = session.scalars(wanted.order_by(operation.number.desc()).limit(PAGE)).all()
    tips = undo_log.tips(session, [row.id for row in rows])
    roots = undo_log.roots(session, [row.id for row in rows])
    others = {*tips.values(), *roots.values()}
    known = {
        row.id: row for row in session.scalars(select(operation).where(operation.id.in_(sorted(others))))
    }
    clashes = _clashes(session, [row.id for row in rows])
    names = _names(session, project_id)
    return tuple(
        _entry(row, known[roots[row.id]], known[tips[row.id]], clashes.get(row.id, 0), names) for row in rows
    )


def _entry(
    row: LabelOperationRow,
    root: LabelOperationRow,
    tip: LabelOperationRow,
    clashes: int,
    names: dict[int, str],
) -> Entry:
    groups = _groups(root)
    text = _told(root, groups, names)
    if row.direction == "undo":
        text = _("undone: {act}").format(act=text)
    elif row.direction == "redo":
        text = _("done again: {act}").format(act=text)
    if clashes:
        left = counted(
            "{count} left as somebody else decided", "{count} left as somebody else decided", clashes
        )
        text = f"{text}, {left}" if text else left
    stands = tip.direction != "undo"
    return Entry(
        id=row.id,
        number=row.number,
        author=row.author,
        direction=cast(Direction, row.direction),
        at=row.at,
        count=sum(group.images for group in _groups(row)),
        text=text,
        undone=stands == (row.direction == "undo"),
        can_undo=(
            row.direction != "undo"
            and stands
            # Images that came in stay in.
            and (not all(group.came for group in groups) or root.removed_class_id is not None)
        ),
    )


def _told(operation: LabelOperationRow, groups: Sequence[_Group], names: dict[int, str]) -> str:
    """Say what an act did."""
    if operation.removed_class_id is not None:
        name = names.get(operation.removed_class_id, "")
        into = {group.class_id for group in groups} - {None}
        if into:
            return _("class {name} merged into {into}").format(
                name=name, into=names.get(cast(int, into.pop()), "")
            )
        return _("class {name} removed").format(name=name)
    came = sum(group.images for group in groups if group.came)
    parts = [counted("{count} image came in", "{count} images came in", came)] if came else []
    largest = sorted((group for group in groups if not group.came), key=_by_size)
    for group in largest[:_MOST_GROUPS]:
        if group.state == "labelled":
            part = counted("{count} image to {{name}}", "{count} images to {{name}}", group.images)
            parts.append(part.format(name=names.get(group.class_id or 0, "")))
        elif group.state == "rejected":
            parts.append(counted("{count} rejected", "{count} rejected", group.images))
        else:
            parts.append(counted("{count} back to unlabelled", "{count} back to unlabelled", group.images))
    if more := sum(group.images for group in largest[_MOST_GROUPS:]):
        parts.append(counted("{count} more", "{count} more", more))
    return ", ".join(parts)


def _by_size(group: _Group) -> tuple[int, str, int]:
    """The largest first; of equal ones the classes in the order in which they were made."""
    return -group.images, group.state, group.class_id or 0


def _groups(operation: LabelOperationRow) -> list[_Group]:
    return [_Group(state, class_id, bool(came), count) for state, class_id, came, count in operation.outcome]


def _clashes(session: Session, operation_ids: Sequence[str]) -> dict[str, int]:
    clash = LabelClashRow
    rows = session.execute(
        select(clash.operation_id, func.count())
        .where(clash.operation_id.in_(operation_ids))
        .group_by(clash.operation_id)
    )
    return dict(rows.all())


def _names(session: Session, project_id: int) -> dict[int, str]:
    """Return the names of the project's classes, of the removed ones too."""
    rows = session.execute(
        select(ImageClassRow.id, ImageClassRow.name).where(ImageClassRow.project_id == project_id)
    )
    return {class_id: shown_name(name) for class_id, name in rows}
