"""Taking an operation back: its pictures become what they were, and a class that went with it comes again."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.labelling import Target, record
from db.models import Label, LabelChange, LabelOperation
from studio.curate import chains
from studio.curate.classes import revive, strike


def take_back(
    session: Session, operation: LabelOperation, *, operation_id: str, author: str, now: datetime
) -> int:
    """Undo an operation, or redo one by taking its undo back; returns how many pictures were set back.

    operation: the last of its chain. A picture that something else has changed since is left as it is: its
    newer label was meant. Taking back is an operation too, so that nothing in the history ever goes away.

    A class that was removed with the operation is a class again, and so is any that pictures go back to;
    redoing removes it again, unless pictures have been given it in the meantime.
    """
    change, label = LabelChange, Label
    rows = session.execute(
        select(change.image_id, change.state_before, change.class_id_before, change.class_id_after)
        .join(label, (label.image_id == change.image_id) & (label.project_id == operation.project_id))
        .where(
            change.operation_id == operation.id,
            label.state == change.state_after,
            label.class_id.is_not_distinct_from(change.class_id_after),
        )
    ).all()
    # A picture that the operation brought into the project stays in it, unlabelled.
    targets: dict[int, Target] = {image: (state or "unlabelled", to) for image, state, to, _from in rows}
    removed = chains.root(session, operation).removed_class_id
    redoing = operation.direction == "undo"
    leaving = sum(from_ == removed for _image, _state, _to, from_ in rows)
    removes = redoing and removed is not None and _count(session, operation.project_id, removed) == leaving
    back = {to for _image, _state, to, _from in rows if to is not None}
    if removed is not None and not redoing:
        back.add(removed)
    revive(session, sorted(back))
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
        strike(session, removed, now)
    return len(targets)


def _count(session: Session, project_id: int, class_id: int) -> int:
    """Count the pictures that have a class."""
    wanted = select(func.count()).where(
        Label.project_id == project_id, Label.state == "labelled", Label.class_id == class_id
    )
    return session.scalar(wanted) or 0
