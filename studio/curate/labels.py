"""Changing labels: resolve the operations of a request, apply them in order, return each one's result."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.labelling import LabelOperation, LabelState, LabelTarget, lock_project, record_operation
from db.models import LabelChangeRow, LabelClashRow, LabelOperationRow, LabelRow
from studio.curate import undo_log
from studio.curate.classes import active_class, get_or_create_class_id
from studio.curate.params import InvalidRequest
from studio.errors import ProjectError
from studio.i18n import _

MAX_LISTED = 2_000
"""Changes of more images than this are not listed: a client reads what it shows again."""
_CHUNK_SIZE = 500  # SQLite allows a statement 999 variables in its older builds


class ImageLabel(NamedTuple):
    """An image's current label."""

    image_id: int
    state: LabelState
    class_id: int | None


@dataclass(frozen=True)
class OperationResult:
    """The result of one operation."""

    id: str
    number: int = 0
    """Its number in the history; 0 where nothing was done."""
    changes: tuple[ImageLabel, ...] | None = ()
    """The images that it changed or confirmed, with their current labels; None for more than `MAX_LISTED`."""
    clashes: tuple[ImageLabel, ...] = ()
    """Images left unchanged since another author had changed them, with their current labels."""
    error: str | None = None
    """Why nothing was done, for people."""
    original_id: str | None = None
    """For an undo or a redo: the operation that was undone or redone."""


def apply_operations(
    session: Session, project_id: int, operations: Sequence[LabelOperation]
) -> tuple[OperationResult, ...]:
    """Apply operations on a project's labels in order and return a result for each.

    An operation that cannot be done has its error, and the others are done. A repeated id changes nothing
    and gets the same result, with labels as they are now. Raises ProjectError where the project does not
    exist.
    """
    if not lock_project(session, project_id):
        raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
    errors: dict[str, str] = {}
    for operation in operations:
        try:
            _apply(session, operation)
        except (ProjectError, InvalidRequest) as error:
            errors[operation.id] = str(error)
    # Read at the end, so that an image that two operations changed has the same label in both results.
    return tuple(
        OperationResult(operation.id, error=errors[operation.id])
        if operation.id in errors
        else _read_result(session, project_id, operation.id)
        for operation in operations
    )


def label_images(
    session: Session,
    project_id: int,
    image_ids: Sequence[int],
    class_name: str,
    *,
    operation_id: str,
    now: datetime,
) -> bool:
    """Label images with a class, which is made where the project has none of that name.

    False, with no label changed, where an operation of this id exists.
    """
    lock_project(session, project_id)
    target = LabelTarget("labelled", class_name=class_name)
    operation = LabelOperation(operation_id, project_id, now, dict.fromkeys(image_ids, target))
    return record_operation(session, _resolve(session, operation)) is not None


def _apply(session: Session, operation: LabelOperation) -> None:
    known = session.get(LabelOperationRow, operation.id)
    if known is not None and known.project_id != operation.project_id:
        raise InvalidRequest(_("This step was done in another project already. Reload the page."))
    if known is not None:
        return
    if operation.direction == "do":
        record_operation(session, _resolve(session, operation))
    else:
        _undo_or_redo(session, operation)


def _resolve(session: Session, operation: LabelOperation) -> LabelOperation:
    """Return the operation with class ids for names, and with the project's own images alone.

    Checks all class ids before a class is made.
    """
    project_id = operation.project_id
    by_target: dict[LabelTarget, list[int]] = {}
    for image_id, target in operation.targets.items():
        by_target.setdefault(target, []).append(image_id)
    for target in by_target:
        if target.class_id is not None:
            active_class(session, project_id, target.class_id)
    targets: dict[int, LabelTarget] = {}
    for target, image_ids in by_target.items():
        class_id = target.class_id
        if target.class_name is not None:
            class_id = get_or_create_class_id(session, project_id, target.class_name)
        resolved = LabelTarget(target.state, class_id)
        targets.update(dict.fromkeys(_project_images(session, project_id, image_ids), resolved))
    return replace(operation, targets=targets)


def _undo_or_redo(session: Session, operation: LabelOperation) -> None:
    project_id, direction = operation.project_id, operation.direction
    reverted: LabelOperationRow | None
    if operation.undoes is not None:
        named = undo_log.find_operation(session, project_id, operation.undoes)
        if named is None:
            raise InvalidRequest(_("There is no such step in the history of this project. Reload the page."))
        latest = undo_log.latest_operation(session, named)
        in_effect = latest.direction != "undo"
        fits = in_effect == (direction == "undo")
        original = undo_log.original_operation(session, named)
        reverted = latest if fits and undo_log.has_effect(session, original) else None
    elif direction == "undo":
        reverted = undo_log.newest_undoable(session, project_id, operation.author)
    else:
        reverted = undo_log.newest_redoable(session, project_id, operation.author)
    if reverted is not None:
        undo_log.revert_operation(session, reverted, operation)
    else:
        # Recorded all the same: a repeated request must not revert what was done in between.
        record_operation(session, replace(operation, targets={}, undoes=None))


def _read_result(session: Session, project_id: int, operation_id: str) -> OperationResult:
    row = session.get_one(LabelOperationRow, operation_id)
    if row.direction != "do" and row.undoes is None:
        return OperationResult(operation_id)
    changes = _current_labels(session, project_id, LabelChangeRow, operation_id, MAX_LISTED + 1)
    return OperationResult(
        operation_id,
        row.number,
        changes if len(changes) <= MAX_LISTED else None,
        _current_labels(session, project_id, LabelClashRow, operation_id, MAX_LISTED),
        original_id=None if row.undoes is None else undo_log.original_operation(session, row).id,
    )


def _current_labels(
    session: Session,
    project_id: int,
    of: type[LabelChangeRow] | type[LabelClashRow],
    operation_id: str,
    limit: int,
) -> tuple[ImageLabel, ...]:
    rows = session.execute(
        select(LabelRow.image_id, LabelRow.state, LabelRow.class_id)
        .join(of, of.image_id == LabelRow.image_id)
        .where(of.operation_id == operation_id, LabelRow.project_id == project_id)
        .order_by(of.image_id)
        .limit(limit)
    )
    return tuple(ImageLabel(image, cast(LabelState, state), class_id) for image, state, class_id in rows)


def _project_images(session: Session, project_id: int, image_ids: Sequence[int]) -> list[int]:
    """Return those ids that are images of the project: a request must not add another project's images."""
    found: list[int] = []
    for start in range(0, len(image_ids), _CHUNK_SIZE):
        found.extend(
            session.scalars(
                select(LabelRow.image_id).where(
                    LabelRow.project_id == project_id,
                    LabelRow.image_id.in_(image_ids[start : start + _CHUNK_SIZE]),
                )
            )
        )
    return found
