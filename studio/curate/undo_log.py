"""The undo log: an operation, the undo that reverts it, the redo that reverts the undo, and so on.

Each names the operation that it reverts. The latest one says whether the original operation is in effect.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from sqlalchemy import ColumnElement, exists, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from db.labelling import LabelOperation, LabelState, LabelTarget, record_operation
from db.models import LabelChangeRow, LabelOperationRow, LabelRow
from studio.curate.classes import mark_class_removed, restore_classes

_CHUNK_SIZE = 500


def find_operation(session: Session, project_id: int, operation_id: str) -> LabelOperationRow | None:
    """Return an operation of the project, or None."""
    found = session.get(LabelOperationRow, operation_id)
    return found if found is not None and found.project_id == project_id else None


def latest_operation(session: Session, operation: LabelOperationRow) -> LabelOperationRow:
    """Return the last undo or redo that goes back to an operation; itself where nothing reverted it."""
    return session.get_one(LabelOperationRow, latest_ids(session, [operation.id])[operation.id])


def original_operation(session: Session, operation: LabelOperationRow) -> LabelOperationRow:
    """Return the operation that a series of undos and redos began with."""
    return session.get_one(LabelOperationRow, original_ids(session, [operation.id])[operation.id])


def latest_ids(session: Session, operation_ids: Iterable[str]) -> dict[str, str]:
    """Return the id of each operation's `latest_operation`."""
    return _follow_links(session, operation_ids, forward=True)


def original_ids(session: Session, operation_ids: Iterable[str]) -> dict[str, str]:
    """Return the id of each operation's `original_operation`."""
    return _follow_links(session, operation_ids, forward=False)


def newest_undoable(session: Session, project_id: int, author: str) -> LabelOperationRow | None:
    """Return the author's newest operation that is in effect and changed something."""
    operation = LabelOperationRow
    # One query for each direction, so that the index gives the newest at once.
    found = [
        _newest(session, project_id, author, operation.direction == direction, _has_effect())
        for direction in ("do", "redo")
    ]
    return max(filter(None, found), key=lambda each: each.number, default=None)


def newest_redoable(session: Session, project_id: int, author: str) -> LabelOperationRow | None:
    """Return the author's newest undo that was not redone and that no newer operation of theirs follows."""
    operation = LabelOperationRow
    undo = _newest(session, project_id, author, operation.direction == "undo", operation.undoes.is_not(None))
    if undo is None:
        return None
    newer = select(operation.id).where(
        operation.project_id == project_id,
        operation.author == author,
        operation.direction == "do",
        operation.number > undo.number,
    )
    return None if session.scalar(newer.limit(1)) else undo


def has_effect(session: Session, operation: LabelOperationRow) -> bool:
    """Return whether an operation changed anything that can be reverted."""
    wanted = select(LabelOperationRow.id).where(LabelOperationRow.id == operation.id, _has_effect())
    return session.scalar(wanted) is not None


def revert_operation(session: Session, reverted: LabelOperationRow, operation: LabelOperation) -> int:
    """Undo an operation, or redo one by reverting its undo; return the number of images set back.

    reverted: the latest of its series; operation: the request, recorded with its id, author and time. An
    image whose label has changed since is left as it is.

    A class that was removed with the operation is restored, and so is any class that images go back to.
    Redoing removes it again, unless other images have been given it since.
    """
    change, label = LabelChangeRow, LabelRow
    rows = session.execute(
        select(change.image_id, change.state_before, change.class_id_before, change.class_id_after)
        .join(label, (label.image_id == change.image_id) & (label.project_id == reverted.project_id))
        .where(
            change.operation_id == reverted.id,
            label.state == change.state_after,
            label.class_id.is_not_distinct_from(change.class_id_after),
        )
    ).all()
    # An image that the operation added to the project stays in it, unlabelled.
    targets = {
        image: LabelTarget(cast(LabelState, state or "unlabelled"), to) for image, state, to, _from in rows
    }
    removed = original_operation(session, reverted).removed_class_id
    redoing = reverted.direction == "undo"
    leaving = sum(from_ == removed for _image, _state, _to, from_ in rows)
    removes = (
        redoing and removed is not None and _count_labelled(session, reverted.project_id, removed) == leaving
    )
    restored = {to for _image, _state, to, _from in rows if to is not None}
    if removed is not None and not redoing:
        restored.add(removed)
    restore_classes(session, sorted(restored))
    record_operation(
        session,
        replace(
            operation,
            targets=targets,
            direction="redo" if redoing else "undo",
            undoes=reverted.id,
            removed_class_id=removed if removes else None,
        ),
    )
    if removed is not None and removes:
        mark_class_removed(session, removed, operation.at)
    return len(targets)


def _has_effect() -> ColumnElement[bool]:
    return or_(
        LabelOperationRow.removed_class_id.is_not(None),
        exists().where(LabelChangeRow.operation_id == LabelOperationRow.id),
    )


def _newest(
    session: Session, project_id: int, author: str, *conditions: ColumnElement[bool]
) -> LabelOperationRow | None:
    operation, reverting = LabelOperationRow, aliased(LabelOperationRow)
    return session.scalar(
        select(operation)
        .where(
            operation.project_id == project_id,
            operation.author == author,
            *conditions,
            ~exists().where(reverting.undoes == operation.id),
        )
        .order_by(operation.number.desc())
        .limit(1)
    )


def _follow_links(session: Session, operation_ids: Iterable[str], *, forward: bool) -> dict[str, str]:
    """Return where each operation's links of `undoes` end: forward at the latest, else at the original."""
    first = select(
        LabelOperationRow.id.label("start"), LabelOperationRow.id.label("at"), literal(0).label("distance")
    )
    ids = list(dict.fromkeys(operation_ids))
    ends: dict[str, str] = {}
    for start in range(0, len(ids), _CHUNK_SIZE):
        links = first.where(LabelOperationRow.id.in_(ids[start : start + _CHUNK_SIZE])).cte(recursive=True)
        link = aliased(LabelOperationRow)
        if forward:
            step = select(links.c.start, link.id, links.c.distance + 1).where(link.undoes == links.c.at)
        else:
            step = select(links.c.start, link.undoes, links.c.distance + 1).where(
                link.id == links.c.at, link.undoes.is_not(None)
            )
        links = links.union_all(step)
        farthest: dict[str, int] = {}
        for operation_id, at, distance in session.execute(
            select(links.c.start, links.c.at, links.c.distance)
        ):
            if distance >= farthest.get(operation_id, 0):
                farthest[operation_id], ends[operation_id] = distance, at
    return ends


def _count_labelled(session: Session, project_id: int, class_id: int) -> int:
    wanted = select(func.count()).where(
        LabelRow.project_id == project_id, LabelRow.state == "labelled", LabelRow.class_id == class_id
    )
    return session.scalar(wanted) or 0
