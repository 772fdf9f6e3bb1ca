"""Labels and their history: the only place that writes labels.

A `LabelOperation` is what a route receives, what `studio.curate.labels` resolves and what `record_operation`
writes: one transaction, one entry of the history.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, cast

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from db.engine import insert_ignoring
from db.models import ImageClassRow, LabelChangeRow, LabelClashRow, LabelOperationRow, LabelRow, ProjectRow

LabelState = Literal["unlabelled", "labelled", "rejected"]
Direction = Literal["do", "undo", "redo"]
_CHUNK_SIZE = 500  # SQLite allows a statement 999 variables in its older builds


class LabelTarget(NamedTuple):
    """The state of an image and, for labelled, its class: by id, or by the name of one to be made."""

    state: LabelState
    class_id: int | None = None
    class_name: str | None = None
    """Set in requests only: `record_operation` takes ids."""


@dataclass(frozen=True)
class LabelOperation:
    """One change of labels, as it is requested and as it is recorded."""

    id: str
    """Chosen by the client: a repeated request has the same id and changes nothing."""
    project_id: int
    at: datetime
    targets: Mapping[int, LabelTarget] = field(default_factory=dict)
    """The new labels, by image id. Empty in a request to undo or to redo."""
    author: str = ""
    """The browser that asks; empty for the studio itself."""
    seen: int | None = None
    """The last operation's number that the author knew; None: all of them."""
    direction: Direction = "do"
    undoes: str | None = None
    """The id of the operation that is reverted. None in a request: the author's newest that can be."""
    removed_class_id: int | None = None


@dataclass(frozen=True)
class RecordedOperation:
    """An operation's number in the history, and the images left unchanged with their current labels."""

    number: int
    clashes: Mapping[int, LabelTarget]


class _CurrentLabel(NamedTuple):
    target: LabelTarget
    operation_number: int


def record_operation(session: Session, operation: LabelOperation) -> RecordedOperation | None:
    """Set the labels that an operation asks for and append it to the history.

    Returns None and changes nothing where an operation of this id exists. An image new to the project is
    added to it. An image that has the wanted label already gets the operation's number: its label is
    confirmed. Where `seen` is given, an image to which another author gave another label since then is left
    as it is, and the clash is stored; the next operation on the image deletes it.

    Targets name classes by id.
    """
    project_id, targets = operation.project_id, operation.targets
    # Lock before the look-up: otherwise two identical requests at the same time would both find nothing.
    number = next_operation_number(session, project_id)
    if session.get(LabelOperationRow, operation.id) is not None:
        return None
    before = dict(_current_labels(session, project_id, list(targets)))
    clashes = _find_clashes(session, operation, before)
    applied = {image: target for image, target in targets.items() if image not in clashes}
    session.execute(
        insert(LabelOperationRow).values(
            id=operation.id,
            project_id=project_id,
            number=number,
            author=operation.author,
            direction=operation.direction,
            undoes=operation.undoes,
            removed_class_id=operation.removed_class_id,
            at=operation.at,
            outcome=_count_outcomes(applied, before),
        )
    )
    _write_labels(session, operation, number, applied, before)
    if applied:
        session.connection().execute(
            insert(LabelChangeRow),
            [
                {
                    "operation_id": operation.id,
                    "image_id": image,
                    "state_before": before[image].target.state if image in before else None,
                    "class_id_before": before[image].target.class_id if image in before else None,
                    "state_after": target.state,
                    "class_id_after": target.class_id,
                }
                for image, target in applied.items()
            ],
        )
        _settle_clashes(session, project_id, list(applied))
    if clashes:
        session.execute(
            insert(LabelClashRow),
            [
                {
                    "operation_id": operation.id,
                    "image_id": image,
                    "project_id": project_id,
                    "state": targets[image].state,
                    "class_id": targets[image].class_id,
                }
                for image in clashes
            ],
        )
    return RecordedOperation(number, clashes)


def next_operation_number(session: Session, project_id: int) -> int:
    """Return the number of the project's next operation; no other transaction gets it before the commit.

    Numbers are in the order of the commits: a reader that has seen number n has seen all before it.
    """
    lock_project(session, project_id)
    return latest_operation_number(session, project_id) + 1


def lock_project(session: Session, project_id: int) -> bool:
    """Lock the project's history for writing until the commit; False where the project does not exist.

    A transaction that also writes other rows of the project locks first, to avoid a deadlock.
    """
    return (
        session.scalar(select(ProjectRow.id).where(ProjectRow.id == project_id).with_for_update()) is not None
    )


def latest_operation_number(session: Session, project_id: int) -> int:
    """Return the number of the project's newest operation; 0 for none."""
    newest = select(func.max(LabelOperationRow.number)).where(LabelOperationRow.project_id == project_id)
    return session.scalar(newest) or 0


def get_or_create_class_ids(session: Session, project_id: int, names: Iterable[str]) -> dict[str, int]:
    """Return the ids of all the project's classes by name; those of `names` that were missing come last.

    A removed class of one of these names is restored.
    """
    active = select(ImageClassRow).where(
        ImageClassRow.project_id == project_id, ImageClassRow.removed_at.is_(None)
    )
    ids = {row.name: row.id for row in session.scalars(active)}
    missing = [name for name in dict.fromkeys(names) if name not in ids]
    if not missing:
        return ids
    session.execute(
        update(ImageClassRow)
        .where(ImageClassRow.project_id == project_id, ImageClassRow.name.in_(missing))
        .values(removed_at=None)
    )
    last = session.scalar(
        select(func.max(ImageClassRow.position)).where(ImageClassRow.project_id == project_id)
    )
    start = 0 if last is None else last + 1
    # Another transaction may make the same class at the same time: then its row is used.
    insert_ignoring(
        session,
        ImageClassRow,
        [{"project_id": project_id, "name": name, "position": start + i} for i, name in enumerate(missing)],
    )
    return {row.name: row.id for row in session.scalars(active)}


def _current_labels(
    session: Session, project_id: int, images: Sequence[int]
) -> Iterator[tuple[int, _CurrentLabel]]:
    for start in range(0, len(images), _CHUNK_SIZE):
        rows = session.execute(
            select(LabelRow.image_id, LabelRow.state, LabelRow.class_id, LabelRow.operation_number).where(
                LabelRow.project_id == project_id,
                LabelRow.image_id.in_(images[start : start + _CHUNK_SIZE]),
            )
        )
        for image, state, class_id, number in rows:
            yield image, _CurrentLabel(LabelTarget(cast(LabelState, state), class_id), number)


def _find_clashes(
    session: Session, operation: LabelOperation, before: Mapping[int, _CurrentLabel]
) -> dict[int, LabelTarget]:
    """Return the images that another author changed since `operation.seen`, with their current labels."""
    if operation.seen is None:
        return {}
    newer = {
        image: label
        for image, label in before.items()
        if label.operation_number > operation.seen and label.target != operation.targets[image]
    }
    others = _operations_of_others(
        session, operation.project_id, operation.author, {label.operation_number for label in newer.values()}
    )
    return {image: label.target for image, label in newer.items() if label.operation_number in others}


def _operations_of_others(
    session: Session, project_id: int, author: str, numbers: Collection[int]
) -> set[int]:
    """Return those of `numbers` whose operation has an author other than `author`."""
    wanted = sorted(numbers)
    found: set[int] = set()
    for start in range(0, len(wanted), _CHUNK_SIZE):
        found.update(
            session.scalars(
                select(LabelOperationRow.number).where(
                    LabelOperationRow.project_id == project_id,
                    LabelOperationRow.number.in_(wanted[start : start + _CHUNK_SIZE]),
                    LabelOperationRow.author.not_in(("", author)),
                )
            )
        )
    return found


def _count_outcomes(
    applied: Mapping[int, LabelTarget], before: Mapping[int, _CurrentLabel]
) -> list[list[object]]:
    """Return [state, class id, whether the images are new (0, 1), count] for each group of images.

    Stored with the operation, so that showing the history reads no changes of 100,000 images.
    """
    counts = Counter(
        (target.state, target.class_id, int(image not in before)) for image, target in applied.items()
    )
    return [[*group, count] for group, count in counts.items()]


def _write_labels(
    session: Session,
    operation: LabelOperation,
    number: int,
    applied: Mapping[int, LabelTarget],
    before: Mapping[int, _CurrentLabel],
) -> None:
    new = [
        {
            "project_id": operation.project_id,
            "image_id": image,
            "state": target.state,
            "class_id": target.class_id,
            "operation_number": number,
            "updated_at": operation.at,
        }
        for image, target in applied.items()
        if image not in before
    ]
    insert_ignoring(session, LabelRow, new)
    # Many images in one statement: row by row 100,000 take twice as long.
    by_target: dict[LabelTarget, list[int]] = {}
    for image, target in applied.items():
        if image in before:
            by_target.setdefault(target, []).append(image)
    for target, images in by_target.items():
        for start in range(0, len(images), _CHUNK_SIZE):
            session.execute(
                update(LabelRow)
                .where(
                    LabelRow.project_id == operation.project_id,
                    LabelRow.image_id.in_(images[start : start + _CHUNK_SIZE]),
                )
                .values(
                    state=target.state,
                    class_id=target.class_id,
                    operation_number=number,
                    updated_at=operation.at,
                )
                .execution_options(synchronize_session=False)
            )


def _settle_clashes(session: Session, project_id: int, images: Sequence[int]) -> None:
    any_clash = select(LabelClashRow.image_id).where(LabelClashRow.project_id == project_id).limit(1)
    if session.scalar(any_clash) is None:
        return
    for start in range(0, len(images), _CHUNK_SIZE):
        session.execute(
            delete(LabelClashRow).where(
                LabelClashRow.project_id == project_id,
                LabelClashRow.image_id.in_(images[start : start + _CHUNK_SIZE]),
            )
        )
