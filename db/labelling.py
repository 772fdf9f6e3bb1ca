"""Writing labels and their history: the only place that changes a label."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from db.models import Label, LabelChange, LabelOperation
from db.upsert import insert_ignoring

Target = tuple[str, int | None]
"""A label's state (unlabelled, labelled, rejected) and its class's id."""

_CHUNK = 500  # SQLite allows a statement 999 variables in its older builds


def record(
    session: Session,
    *,
    operation_id: str,
    project_id: int,
    at: datetime,
    targets: Mapping[int, Target],
    undoes: str | None = None,
) -> bool:
    """Give each picture (by image id) its target and append the act to the history.

    Returns False, and does nothing, when an operation of this id is there already: a request can be made
    twice. A picture new to the project enters it so.
    """
    if session.get(LabelOperation, operation_id) is not None:
        return False
    before = dict(_current(session, project_id, list(targets)))
    changed = {image: target for image, target in targets.items() if before.get(image) != target}
    session.execute(
        insert(LabelOperation).values(id=operation_id, project_id=project_id, at=at, undoes=undoes)
    )
    insert_ignoring(
        session,
        Label,
        [
            {"project_id": project_id, "image_id": image, "state": s, "class_id": c, "updated_at": at}
            for image, (s, c) in changed.items()
            if image not in before
        ],
    )
    if known := [image for image in changed if image in before]:
        session.execute(
            update(Label),
            [
                {
                    "project_id": project_id,
                    "image_id": image,
                    "state": changed[image][0],
                    "class_id": changed[image][1],
                    "updated_at": at,
                }
                for image in known
            ],
        )
    if changed:
        session.execute(
            insert(LabelChange),
            [
                {
                    "operation_id": operation_id,
                    "image_id": image,
                    "state_before": before[image][0] if image in before else None,
                    "class_id_before": before[image][1] if image in before else None,
                    "state_after": state,
                    "class_id_after": class_id,
                }
                for image, (state, class_id) in changed.items()
            ],
        )
    return True


def _current(session: Session, project_id: int, images: Sequence[int]) -> Iterator[tuple[int, Target]]:
    for start in range(0, len(images), _CHUNK):
        rows = session.execute(
            select(Label.image_id, Label.state, Label.class_id).where(
                Label.project_id == project_id, Label.image_id.in_(images[start : start + _CHUNK])
            )
        )
        yield from ((image, (state, class_id)) for image, state, class_id in rows)
