"""Chains of undoing: an act, its undo, the redo that undoes that; the last says whether the act stands."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, Select, exists, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from db.labelling import Target, record
from db.models import LabelChangeRow, LabelOperationRow, LabelRow
from studio.curate.classes import mark_removed, restore

_CHUNK = 500


def find(session: Session, project_id: int, operation_id: str) -> LabelOperationRow | None:
    """Return an operation of the project."""
    found = session.get(LabelOperationRow, operation_id)
    return found if found is not None and found.project_id == project_id else None


def tip(session: Session, operation: LabelOperationRow) -> LabelOperationRow:
    """Return the last of an operation's chain."""
    last = tips(session, [operation.id])[operation.id]
    return session.get_one(LabelOperationRow, last)


def root(session: Session, operation: LabelOperationRow) -> LabelOperationRow:
    """Return the first of an operation's chain."""
    first = roots(session, [operation.id])[operation.id]
    return session.get_one(LabelOperationRow, first)


def tips(session: Session, operation_ids: Iterable[str]) -> dict[str, str]:
    """Return the id of the last of each operation's chain."""
    chain = select(
        LabelOperationRow.id.label("start"), LabelOperationRow.id.label("at"), literal(0).label("far")
    )
    return _ends(session, operation_ids, chain, forward=True)


def roots(session: Session, operation_ids: Iterable[str]) -> dict[str, str]:
    """Return the id of the first of each operation's chain."""
    chain = select(
        LabelOperationRow.id.label("start"), LabelOperationRow.id.label("at"), literal(0).label("far")
    )
    return _ends(session, operation_ids, chain, forward=False)


def newest_standing(session: Session, project_id: int, author: str) -> LabelOperationRow | None:
    """Return the author's newest act that stands and changed something: what an undo takes back."""
    operation = LabelOperationRow
    # Each direction for itself, so that the index gives the newest at once.
    found = [
        _newest(session, project_id, author, operation.direction == direction, _does_something())
        for direction in ("do", "redo")
    ]
    return max(filter(None, found), key=lambda each: each.number, default=None)


def newest_undo(session: Session, project_id: int, author: str) -> LabelOperationRow | None:
    """Return the author's newest undo that nothing has redone and no newer act of his has overtaken."""
    operation = LabelOperationRow
    undo = _newest(session, project_id, author, operation.direction == "undo", operation.undoes.is_not(None))
    if undo is None:
        return None
    overtaken = select(operation.id).where(
        operation.project_id == project_id,
        operation.author == author,
        operation.direction == "do",
        operation.number > undo.number,
    )
    return None if session.scalar(overtaken.limit(1)) else undo


def does_something(session: Session, operation: LabelOperationRow) -> bool:
    """Whether there is anything of an operation that could be taken back."""
    wanted = select(LabelOperationRow.id).where(LabelOperationRow.id == operation.id, _does_something())
    return session.scalar(wanted) is not None


def _does_something() -> ColumnElement[bool]:
    return or_(
        LabelOperationRow.removed_class_id.is_not(None),
        exists().where(LabelChangeRow.operation_id == LabelOperationRow.id),
    )


def _newest(
    session: Session, project_id: int, author: str, *wanted: ColumnElement[bool]
) -> LabelOperationRow | None:
    operation, undoer = LabelOperationRow, aliased(LabelOperationRow)
    return session.scalar(
        select(operation)
        .where(
            operation.project_id == project_id,
            operation.author == author,
            *wanted,
            ~exists().where(undoer.undoes == operation.id),
        )
        .order_by(operation.number.desc())
        .limit(1)
    )


def _ends(
    session: Session,
    operation_ids: Iterable[str],
    begin: "Select[str, str, int]",
    *,
    forward: bool,
) -> dict[str, str]:
    ids = list(dict.fromkeys(operation_ids))
    ends: dict[str, str] = {}
    for start in range(0, len(ids), _CHUNK):
        chain = begin.where(LabelOperationRow.id.in_(ids[start : start + _CHUNK])).cte(recursive=True)
        link = aliased(LabelOperationRow)
        if forward:
            step = select(chain.c.start, link.id, chain.c.far + 1).where(link.undoes == chain.c.at)
        else:
            step = select(chain.c.start, link.undoes, chain.c.far + 1).where(
                link.id == chain.c.at, link.undoes.is_not(None)
            )
        chain = chain.union_all(step)
        rows = session.execute(select(chain.c.start, chain.c.at, chain.c.far))
        far: dict[str, int] = {}
        for operation_id, at, distance in rows:
            if distance >= far.get(operation_id, 0):
                far[operation_id], ends[operation_id] = distance, at
    return ends


def take_back(
    session: Session, operation: LabelOperationRow, *, operation_id: str, author: str, now: datetime
) -> int:
    """Undo an operation, or redo one by taking its undo back; returns how many images were set back.

    operation: the last of its chain. An image that something else has changed since is left as it is: its
    newer label was meant. Taking back is an operation too, so that nothing in the history ever goes away.

    A class that was removed with the operation is a class again, and so is any that images go back to;
    redoing removes it again, unless images have been given it in the meantime.
    """
    change, label = LabelChangeRow, LabelRow
    rows = session.execute(
        select(change.image_id, change.state_before, change.class_id_before, change.class_id_after)
        .join(label, (label.image_id == change.image_id) & (label.project_id == operation.project_id))
        .where(
            change.operation_id == operation.id,
            label.state == change.state_after,
            label.class_id.is_not_distinct_from(change.class_id_after),
        )
    ).all()
    # An image that the operation brought into the project stays in it, unlabelled.
    targets: dict[int, Target] = {image: (state or "unlabelled", to) for image, state, to, _from in rows}
    removed = root(session, operation).removed_class_id
    redoing = operation.direction == "undo"
    leaving = sum(from_ == removed for _image, _state, _to, from_ in rows)
    removes = redoing and removed is not None and _count(session, operation.project_id, removed) == leaving
    back = {to for _image, _state, to, _from in rows if to is not None}
    if removed is not None and not redoing:
        back.add(removed)
    restore(session, sorted(back))
    record(
        session,
        operation_id=operation_id,
        project_id=operation.project_id,
        at=now,
        targets=targets,
        author=author,
        direction="redo" if redoing else "undo",
        undoes=operation.id,
        removed_class_id=removed if removes else None,
    )
    if removed is not None and removes:
        mark_removed(session, removed, now)
    return len(targets)


def _count(session: Session, project_id: int, class_id: int) -> int:
    """Count the images that have a class."""
    wanted = select(func.count()).where(
        LabelRow.project_id == project_id, LabelRow.state == "labelled", LabelRow.class_id == class_id
    )
    return session.scalar(wanted) or 0
