"""Changing labels: to a class, to rejected, back to unlabelled; and undoing any of it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import labelling, models
from db.classes import class_ids
from studio.errors import ProjectError
from studio.language import _


def label(
    session: Session,
    project_id: int,
    image_ids: Sequence[int],
    class_name: str,
    *,
    operation_id: str,
    now: datetime,
) -> bool:
    """Give pictures a class, which is made where the project has none of that name.

    False, with nothing changed, when the operation was done before.
    """
    class_id = class_of(session, project_id, class_name)
    return _set(session, project_id, image_ids, ("labelled", class_id), operation_id, now)


def reject(
    session: Session, project_id: int, image_ids: Sequence[int], *, operation_id: str, now: datetime
) -> bool:
    """Take pictures out of training without deleting anything. Otherwise as `label`."""
    return _set(session, project_id, image_ids, ("rejected", None), operation_id, now)


def unlabel(
    session: Session, project_id: int, image_ids: Sequence[int], *, operation_id: str, now: datetime
) -> bool:
    """Return pictures to those that wait for a label. Otherwise as `label`."""
    return _set(session, project_id, image_ids, ("unlabelled", None), operation_id, now)


def undo(
    session: Session, project_id: int, operation_id: str, *, new_operation_id: str, now: datetime
) -> int:
    """Set the pictures of one operation back to what they were before it; returns how many were.

    A picture that another operation has changed since is left as it is: its newer label was meant.
    Undoing is an operation too, so that nothing in the history ever goes away. Undoing twice changes nothing.
    """
    if session.scalar(select(models.LabelOperation.id).where(models.LabelOperation.undoes == operation_id)):
        return 0
    change, now_label = models.LabelChange, models.Label
    rows = session.execute(
        select(change.image_id, change.state_before, change.class_id_before)
        .join(
            now_label,
            (now_label.image_id == change.image_id) & (now_label.project_id == project_id),
        )
        .where(
            change.operation_id == operation_id,
            now_label.state == change.state_after,
            now_label.class_id.is_not_distinct_from(change.class_id_after),
        )
    ).all()
    # A picture that the operation brought into the project stays in it, unlabelled.
    targets = {image: (state or "unlabelled", class_id) for image, state, class_id in rows}
    labelling.record(
        session,
        operation_id=new_operation_id,
        project_id=project_id,
        at=now,
        targets=targets,
        undoes=operation_id,
    )
    return len(targets)


def class_of(session: Session, project_id: int, name: str) -> int:
    """Return the id of the project's class of that name, made last in order where it is missing.

    Raises ProjectError for a name that is empty or longer than 80 characters.
    """
    name = " ".join(name.split())
    if not name or len(name) > _LONGEST:
        raise ProjectError(
            _("expected a class name of 1 to {longest} characters; got {length}.").format(
                longest=_LONGEST, length=len(name)
            )
        )
    return class_ids(session, project_id, [name])[name]


_LONGEST = 80


def _set(
    session: Session,
    project_id: int,
    image_ids: Sequence[int],
    target: labelling.Target,
    operation_id: str,
    now: datetime,
) -> bool:
    # Only pictures of this project: an id from elsewhere must not bring a stranger's picture in.
    ours = session.scalars(
        select(models.Label.image_id).where(
            models.Label.project_id == project_id, models.Label.image_id.in_(image_ids)
        )
    ).all()
    recorded = labelling.record(
        session,
        operation_id=operation_id,
        project_id=project_id,
        at=now,
        targets=dict.fromkeys(ours, target),
    )
    return recorded is not None
