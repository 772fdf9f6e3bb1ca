"""Writing labels and their history: the only place that changes a label."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from db.engine import insert_ignoring
from db.models import ImageClassRow, LabelChangeRow, LabelClashRow, LabelOperationRow, LabelRow, ProjectRow

Target = tuple[str, int | None]
"""A label's state (unlabelled, labelled, rejected) and its class's id."""
Direction = Literal["do", "undo", "redo"]
_CHUNK = 500  # SQLite allows a statement 999 variables in its older builds


@dataclass(frozen=True)
class Recorded:
    """An act in the history. clashes: the images that were left alone, with what they are now."""

    number: int
    clashes: Mapping[int, Target]


class _Now(NamedTuple):
    target: Target
    operation_number: int


def record(
    session: Session,
    *,
    operation_id: str,
    project_id: int,
    at: datetime,
    targets: Mapping[int, Target],
    author: str = "",
    seen: int | None = None,
    direction: Direction = "do",
    undoes: str | None = None,
    removed_class_id: int | None = None,
) -> Recorded | None:
    """Give each image (by image id) its target and append the act to the history.

    Returns None, and does nothing, when an operation of this id is there already: a request can be made
    twice. An image new to the project enters it so; one that is what it should be already counts as looked
    at. author: who asks. seen: how much of the history the author knew; an image that another author has
    changed since to something else is left alone, and the clash is written down. A later act on the image
    settles it.
    """
    # In this order, or of two that make the same request at once both would find nothing.
    number = next_number(session, project_id)
    if session.get(LabelOperationRow, operation_id) is not None:
        return None
    before = dict(_current(session, project_id, list(targets)))
    clashes = {} if seen is None else _clashes(session, project_id, author, seen, targets, before)
    decided = {image: target for image, target in targets.items() if image not in clashes}
    session.execute(
        insert(LabelOperationRow).values(
            id=operation_id,
            project_id=project_id,
            number=number,
            author=author,
            direction=direction,
            undoes=undoes,
            removed_class_id=removed_class_id,
            at=at,
            outcome=_counted(decided, before),
        )
    )
    _write(session, project_id, number, at, decided, before)
    if decided:
        session.connection().execute(
            insert(LabelChangeRow),
            [
                {
                    "operation_id": operation_id,
                    "image_id": image,
                    "state_before": before[image].target[0] if image in before else None,
                    "class_id_before": before[image].target[1] if image in before else None,
                    "state_after": state,
                    "class_id_after": class_id,
                }
                for image, (state, class_id) in decided.items()
            ],
        )
        _settle(session, project_id, list(decided))
    if clashes:
        session.execute(
            insert(LabelClashRow),
            [
                {
                    "operation_id": operation_id,
                    "image_id": image,
                    "project_id": project_id,
                    "state": targets[image][0],
                    "class_id": targets[image][1],
                }
                for image in clashes
            ],
        )
    return Recorded(number, clashes)


def next_number(session: Session, project_id: int) -> int:
    """Return the number of the project's next operation, and keep others from taking it till the commit.

    So numbers stand in the order in which acts become visible: whoever has seen number n has seen all before.
    """
    hold(session, project_id)
    return newest_number(session, project_id) + 1


def hold(session: Session, project_id: int) -> bool:
    """Keep others from writing to the project's history till the commit; False where there is no project.

    Whoever means to write anything of a project besides does this first: two that take it last can each wait
    for what the other has written.
    """
    return (
        session.scalar(select(ProjectRow.id).where(ProjectRow.id == project_id).with_for_update()) is not None
    )


def newest_number(session: Session, project_id: int) -> int:
    """Return how far the project's history goes; 0 for none."""
    newest = select(func.max(LabelOperationRow.number)).where(LabelOperationRow.project_id == project_id)
    return session.scalar(newest) or 0


def _counted(decided: Mapping[int, Target], before: Mapping[int, _Now]) -> list[list[object]]:
    """Count what becomes of images, so that nobody need ask a hundred thousand to tell the history."""
    counts = Counter((*target, int(image not in before)) for image, target in decided.items())
    return [[*group, count] for group, count in counts.items()]


def _clashes(
    session: Session,
    project_id: int,
    author: str,
    seen: int,
    targets: Mapping[int, Target],
    before: Mapping[int, _Now],
) -> dict[int, Target]:
    newer = {
        image: now
        for image, now in before.items()
        if now.operation_number > seen and now.target != targets[image]
    }
    others = _by_others(session, project_id, author, {now.operation_number for now in newer.values()})
    return {image: now.target for image, now in newer.items() if now.operation_number in others}


def _by_others(session: Session, project_id: int, author: str, numbers: Collection[int]) -> set[int]:
    """Return those of `numbers` that a person other than `author` did."""
    wanted = sorted(numbers)
    found: set[int] = set()
    for start in range(0, len(wanted), _CHUNK):
        found.update(
            session.scalars(
                select(LabelOperationRow.number).where(
                    LabelOperationRow.project_id == project_id,
                    LabelOperationRow.number.in_(wanted[start : start + _CHUNK]),
                    LabelOperationRow.author.not_in(("", author)),
                )
            )
        )
    return found


def _write(
    session: Session,
    project_id: int,
    number: int,
    at: datetime,
    decided: Mapping[int, Target],
    before: Mapping[int, _Now],
) -> None:
    new = [
        {
            "project_id": project_id,
            "image_id": image,
            "state": state,
            "class_id": class_id,
            "operation_number": number,
            "updated_at": at,
        }
        for image, (state, class_id) in decided.items()
        if image not in before
    ]
    insert_ignoring(session, LabelRow, new)
    # Many images in one statement: row by row a hundred thousand take twice as long.
    known: dict[Target, list[int]] = {}
    for image, target in decided.items():
        if image in before:
            known.setdefault(target, []).append(image)
    for (state, class_id), images in known.items():
        for start in range(0, len(images), _CHUNK):
            session.execute(
                update(LabelRow)
                .where(
                    LabelRow.project_id == project_id, LabelRow.image_id.in_(images[start : start + _CHUNK])
                )
                .values(state=state, class_id=class_id, operation_number=number, updated_at=at)
                .execution_options(synchronize_session=False)
            )


def _settle(session: Session, project_id: int, images: Sequence[int]) -> None:
    if (
        session.scalar(select(LabelClashRow.image_id).where(LabelClashRow.project_id == project_id).limit(1))
        is None
    ):
        return
    for start in range(0, len(images), _CHUNK):
        session.execute(
            delete(LabelClashRow).where(
                LabelClashRow.project_id == project_id,
                LabelClashRow.image_id.in_(images[start : start + _CHUNK]),
            )
        )


def _current(session: Session, project_id: int, images: Sequence[int]) -> Iterator[tuple[int, _Now]]:
    for start in range(0, len(images), _CHUNK):
        rows = session.execute(
            select(LabelRow.image_id, LabelRow.state, LabelRow.class_id, LabelRow.operation_number).where(
                LabelRow.project_id == project_id, LabelRow.image_id.in_(images[start : start + _CHUNK])
            )
        )
        yield from ((image, _Now((state, class_id), number)) for image, state, class_id, number in rows)


def class_ids(session: Session, project_id: int, names: Iterable[str]) -> dict[str, int]:
    """Return the ids of all the project's classes by name; those of `names` that were missing come last.

    One of `names` that had been removed is a class again.
    """
    known = select(ImageClassRow).where(
        ImageClassRow.project_id == project_id, ImageClassRow.removed_at.is_(None)
    )
    found = {row.name: row.id for row in session.scalars(known)}
    missing = [name for name in dict.fromkeys(names) if name not in found]
    if not missing:
        return found
    session.execute(
        update(ImageClassRow)
        .where(ImageClassRow.project_id == project_id, ImageClassRow.name.in_(missing))
        .values(removed_at=None)
    )
    last = session.scalar(
        select(func.max(ImageClassRow.position)).where(ImageClassRow.project_id == project_id)
    )
    start = 0 if last is None else last + 1
    # Somebody else may make the same class in the same moment: then theirs is ours.
    insert_ignoring(
        session,
        ImageClassRow,
        [{"project_id": project_id, "name": name, "position": start + i} for i, name in enumerate(missing)],
    )
    return {row.name: row.id for row in session.scalars(known)}
