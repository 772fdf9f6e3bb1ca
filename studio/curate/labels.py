"""Changing labels: to a class, to rejected, back to unlabelled; undoing and redoing any of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import labelling
from db.models import LabelChangeRow, LabelClashRow, LabelOperationRow, LabelRow
from studio.curate import undo_log
from studio.curate.classes import active_class, class_of
from studio.curate.items import State
from studio.curate.params import NotUnderstood
from studio.curate.undo_log import take_back
from studio.errors import ProjectError
from studio.i18n import _

Change = tuple[int, State, int | None]
"""An image's id, its state and its class's id, as they are now."""


@dataclass(frozen=True)
class Group:
    """Images and what they become; a class, for labelled, by its id or by the name of one to be made."""

    images: Sequence[int]
    state: State
    class_id: int | None = None
    class_name: str | None = None


@dataclass(frozen=True)
class SetLabels:
    """Give images labels. seen: how much of the history the author knew; None: all of it."""

    id: str
    groups: Sequence[Group]
    seen: int | None = None


@dataclass(frozen=True)
class TakeBack:
    """Undo or redo: the operation of this id, or the author's newest that can be."""

    id: str
    kind: Literal["undo", "redo"]
    operation: str | None = None


Operation = SetLabels | TakeBack


@dataclass(frozen=True)
class Result:
    """What came of one operation."""

    id: str
    number: int = 0
    """Its place in the history; 0 where nothing was done."""
    changes: tuple[Change, ...] | None = ()
    """The images that it decided about, as they are now; None where they are too many to list."""
    clashes: tuple[Change, ...] = ()
    """Those left alone, since another author had changed them: what stands there instead."""
    error: str | None = None
    """Why nothing was done, for people."""
    about: str | None = None
    """The operation that was undone or redone: the first of its chain."""


MOST_LISTED = 2_000
"""Changes of more images than this are not listed: whoever shows them had better fetch them anew."""
_CHUNK = 500  # SQLite allows a statement 999 variables in its older builds


def apply(
    session: Session, project_id: int, author: str, operations: Sequence[Operation], now: datetime
) -> tuple[Result, ...]:
    """Do what a person asks, one after the other, and return what came of each.

    An operation that cannot be done has its error, and the others are done. One whose id has been seen before
    changes nothing and gets its result again, as things are now. Raises ProjectError when the project is not
    there.
    """
    if not labelling.hold(session, project_id):
        raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
    errors: dict[str, str] = {}
    for operation in operations:
        try:
            _do(session, project_id, author, operation, now)
        except (ProjectError, NotUnderstood) as error:
            errors[operation.id] = str(error)
    # Told at the end, so that an image that two of them touched is told as it is.
    return tuple(
        Result(operation.id, error=errors[operation.id])
        if operation.id in errors
        else _result(session, project_id, operation.id)
        for operation in operations
    )


def label(
    session: Session,
    project_id: int,
    image_ids: Sequence[int],
    class_name: str,
    *,
    operation_id: str,
    now: datetime,
) -> bool:
    """Give images a class, which is made where the project has none of that name.

    False, with nothing changed, when the operation was done before.
    """
    labelling.hold(session, project_id)
    class_id = class_of(session, project_id, class_name)
    return _set(session, project_id, image_ids, ("labelled", class_id), operation_id, now)


def reject(
    session: Session, project_id: int, image_ids: Sequence[int], *, operation_id: str, now: datetime
) -> bool:
    """Take images out of training without deleting anything. Otherwise as `label`."""
    return _set(session, project_id, image_ids, ("rejected", None), operation_id, now)


def unlabel(
    session: Session, project_id: int, image_ids: Sequence[int], *, operation_id: str, now: datetime
) -> bool:
    """Return images to those that wait for a label. Otherwise as `label`."""
    return _set(session, project_id, image_ids, ("unlabelled", None), operation_id, now)


def undo(
    session: Session, project_id: int, operation_id: str, *, new_operation_id: str, now: datetime
) -> int:
    """Set the images of one operation back to what they were before it; returns how many were.

    See `studio.curate.undo_log`. Undoing twice changes nothing; undoing an undo is a redo.
    """
    labelling.hold(session, project_id)
    operation = undo_log.find(session, project_id, operation_id)
    if operation is None or undo_log.tip(session, operation).id != operation_id:
        return 0
    return take_back(session, operation, operation_id=new_operation_id, author="", now=now)


def _do(session: Session, project_id: int, author: str, operation: Operation, now: datetime) -> None:
    known = session.get(LabelOperationRow, operation.id)
    if known is not None and known.project_id != project_id:
        raise NotUnderstood(_("This step was done in another project already. Reload the page."))
    if known is not None:
        return
    if isinstance(operation, SetLabels):
        targets = _targets(session, project_id, operation.groups)
        labelling.record(
            session,
            operation_id=operation.id,
            project_id=project_id,
            at=now,
            targets=targets,
            author=author,
            seen=operation.seen,
        )
    else:
        _take_back(session, project_id, author, operation, now)


def _targets(session: Session, project_id: int, groups: Sequence[Group]) -> dict[int, labelling.Target]:
    """Return what each image of the project becomes; nothing is written before all of it makes sense."""
    for group in groups:
        if group.class_id is not None:
            active_class(session, project_id, group.class_id)
    targets: dict[int, labelling.Target] = {}
    made: list[tuple[Group, labelling.Target]] = []
    for group in groups:
        class_id = group.class_id
        if group.class_name is not None:
            class_id = class_of(session, project_id, group.class_name)
        made.append((group, (group.state, class_id)))
    for group, target in made:
        targets.update(dict.fromkeys(_ours(session, project_id, group.images), target))
    return targets


def _take_back(session: Session, project_id: int, author: str, asked: TakeBack, now: datetime) -> None:
    if asked.operation is not None:
        named = undo_log.find(session, project_id, asked.operation)
        if named is None:
            raise NotUnderstood(_("There is no such step in the history of this project. Reload the page."))
        last = undo_log.tip(session, named)
        stands = last.direction != "undo"
        fits = stands == (asked.kind == "undo")
        found = last if fits and undo_log.does_something(session, undo_log.root(session, named)) else None
    elif asked.kind == "undo":
        found = undo_log.newest_standing(session, project_id, author)
    else:
        found = undo_log.newest_undo(session, project_id, author)
    if found is not None:
        take_back(session, found, operation_id=asked.id, author=author, now=now)
        return
    # Written down all the same: asked again, it must not take back what was done in between.
    labelling.record(
        session,
        operation_id=asked.id,
        project_id=project_id,
        at=now,
        targets={},
        author=author,
        direction=asked.kind,
    )


def _result(session: Session, project_id: int, operation_id: str) -> Result:
    operation = session.get_one(LabelOperationRow, operation_id)
    if operation.direction != "do" and operation.undoes is None:
        return Result(operation_id)
    about = None if operation.undoes is None else undo_log.root(session, operation).id
    changes = _as_they_are(session, project_id, LabelChangeRow, operation_id, MOST_LISTED + 1)
    return Result(
        operation_id,
        operation.number,
        changes if len(changes) <= MOST_LISTED else None,
        _as_they_are(session, project_id, LabelClashRow, operation_id, MOST_LISTED),
        about=about,
    )


def _as_they_are(
    session: Session,
    project_id: int,
    of: type[LabelChangeRow] | type[LabelClashRow],
    operation_id: str,
    most: int,
) -> tuple[Change, ...]:
    rows = session.execute(
        select(LabelRow.image_id, LabelRow.state, LabelRow.class_id)
        .join(of, of.image_id == LabelRow.image_id)
        .where(of.operation_id == operation_id, LabelRow.project_id == project_id)
        .order_by(of.image_id)
        .limit(most)
    )
    return tuple((image, state, class_id) for image, state, class_id in rows)  # type: ignore[misc]


def _ours(session: Session, project_id: int, image_ids: Sequence[int]) -> list[int]:
    """Return those of the project: an id from elsewhere must not bring a stranger's image in."""
    ours: list[int] = []
    for start in range(0, len(image_ids), _CHUNK):
        ours.extend(
            session.scalars(
                select(LabelRow.image_id).where(
                    LabelRow.project_id == project_id,
                    LabelRow.image_id.in_(image_ids[start : start + _CHUNK]),
                )
            )
        )
    return ours


def _set(
    session: Session,
    project_id: int,
    image_ids: Sequence[int],
    target: labelling.Target,
    operation_id: str,
    now: datetime,
) -> bool:
    recorded = labelling.record(
        session,
        operation_id=operation_id,
        project_id=project_id,
        at=now,
        targets=dict.fromkeys(_ours(session, project_id, image_ids), target),
    )
    return recorded is not None
