"""A project's classes: add, rename, reorder, colour, hotkey, merge, remove, count.

Each change is recorded as an operation of the label history, so that other windows learn of it. Merging and
removing change labels: they have an author and can be undone. The other operations have no author.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.labelling import LabelOperation, LabelTarget, get_or_create_class_ids, lock_project, record_operation
from db.models import ImageClassRow, LabelOperationRow, LabelRow
from studio.errors import ProjectError
from studio.i18n import _

MAX_NAME_LENGTH = 80
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_REMOVED_NAME_SEPARATOR = "\x1f"
"""Follows the name of a removed class that another class has taken; no typed name contains it."""


def add_class(session: Session, project_id: int, name: str, *, operation_id: str, now: datetime) -> None:
    """Add a class, last in order; a removed class of this name is restored.

    Raises ProjectError, as all changes here do, where the project does not exist, the name is not allowed or
    a class has it already. A repeated operation id changes nothing.
    """

    def change() -> None:
        wanted = validate_class_name(name)
        if wanted in (row.name for row in active_classes(session, project_id)):
            raise _name_taken(wanted)
        get_or_create_class_ids(session, project_id, [wanted])

    _apply_once(session, project_id, operation_id, now, change)


def rename_class(
    session: Session, project_id: int, class_id: int, name: str, *, operation_id: str, now: datetime
) -> None:
    """Rename a class. A removed class of the new name gives it up."""

    def change() -> None:
        row, wanted = active_class(session, project_id, class_id), validate_class_name(name)
        if row.name == wanted:
            return
        other = _find_by_name(session, project_id, wanted)
        if other is not None and other.removed_at is None:
            raise _name_taken(wanted)
        if other is not None:
            other.name = f"{wanted}{_REMOVED_NAME_SEPARATOR}{other.id}"
            session.flush()
        row.name = wanted

    _apply_once(session, project_id, operation_id, now, change)


def set_class_colour(
    session: Session, project_id: int, class_id: int, colour: str, *, operation_id: str, now: datetime
) -> None:
    """Set the colour of a class: `#rrggbb`, or empty for the default."""

    def change() -> None:
        wanted = colour.lower()
        if wanted and not _COLOUR.fullmatch(wanted):
            raise ProjectError(
                _("expected a colour such as #e0457b; got {colour!r}.").format(colour=colour[:40])
            )
        active_class(session, project_id, class_id).colour = wanted

    _apply_once(session, project_id, operation_id, now, change)


def set_class_hotkey(
    session: Session, project_id: int, class_id: int, hotkey: str, *, operation_id: str, now: datetime
) -> None:
    """Set the hotkey of a class: one digit or letter, or empty for none.

    A class that had the key loses it.
    """

    def change() -> None:
        wanted = hotkey.lower()
        if wanted and not (len(wanted) == 1 and (wanted.isalpha() or wanted in "0123456789")):
            raise ProjectError(
                _("expected one digit or one letter as the key of a class; got {hotkey!r}.").format(
                    hotkey=hotkey[:40]
                )
            )
        row = active_class(session, project_id, class_id)
        if wanted:  # also of removed classes, which may be restored
            session.execute(
                update(ImageClassRow)
                .where(
                    ImageClassRow.project_id == project_id,
                    ImageClassRow.hotkey == wanted,
                    ImageClassRow.id != class_id,
                )
                .values(hotkey="")
            )
        row.hotkey = wanted

    _apply_once(session, project_id, operation_id, now, change)


def reorder_classes(
    session: Session, project_id: int, order: Sequence[int], *, operation_id: str, now: datetime
) -> None:
    """Reorder the classes by id; classes that `order` does not name follow in their former order."""

    def change() -> None:
        rows = {row.id: row for row in active_classes(session, project_id)}
        known = [class_id for class_id in dict.fromkeys(order) if class_id in rows]
        for position, class_id in enumerate(dict.fromkeys([*known, *rows])):
            rows[class_id].position = position

    _apply_once(session, project_id, operation_id, now, change)


def merge_classes(
    session: Session,
    project_id: int,
    class_id: int,
    into: int,
    *,
    author: str,
    operation_id: str,
    now: datetime,
) -> None:
    """Move all images of a class to another and remove it, as one operation that can be undone."""

    def target() -> LabelTarget:
        if class_id == into:
            raise ProjectError(_("expected another class to merge into; got the same class. Choose another."))
        return LabelTarget("labelled", active_class(session, project_id, into).id)

    _remove_with_labels(session, project_id, class_id, target, author, operation_id, now)


def remove_class(
    session: Session, project_id: int, class_id: int, *, author: str, operation_id: str, now: datetime
) -> None:
    """Unlabel all images of a class and remove it, as one operation that can be undone."""
    _remove_with_labels(
        session, project_id, class_id, lambda: LabelTarget("unlabelled"), author, operation_id, now
    )


def get_or_create_class_id(session: Session, project_id: int, name: str) -> int:
    """Return the id of the project's class of this name; a missing class is added, last in order.

    Raises ProjectError for a name that is empty or longer than 80 characters.
    """
    name = validate_class_name(name)
    return get_or_create_class_ids(session, project_id, [name])[name]


def validate_class_name(name: str) -> str:
    """Return a class name as it is stored: on one line, in Unicode's NFC.

    Raises ProjectError where it is empty or longer than 80 characters.
    """
    name = unicodedata.normalize("NFC", "".join(c if c.isprintable() else " " for c in name))
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME_LENGTH:
        raise ProjectError(
            _("expected a class name of 1 to {longest} characters; got {length}.").format(
                longest=MAX_NAME_LENGTH, length=len(name)
            )
        )
    return name


def display_name(name: str) -> str:
    """Return a class's name as people know it, also of a removed class that gave its name up."""
    return name.partition(_REMOVED_NAME_SEPARATOR)[0]


def active_classes(session: Session, project_id: int) -> list[ImageClassRow]:
    """Return the rows of the project's classes in order, without removed ones."""
    row = ImageClassRow
    return list(
        session.scalars(
            select(row)
            .where(row.project_id == project_id, row.removed_at.is_(None))
            .order_by(row.position, row.id)
        )
    )


def active_class(session: Session, project_id: int, class_id: int) -> ImageClassRow:
    """Return a class's row. Raises ProjectError where the project has no such class, or it was removed."""
    row = session.get(ImageClassRow, class_id)
    if row is None or row.project_id != project_id:
        raise ProjectError(_("There is no such class in this project. Choose another."))
    if row.removed_at is not None:
        raise ProjectError(
            _("The class {name} was removed in the meantime. Choose another, or undo its removal.").format(
                name=display_name(row.name)
            )
        )
    return row


def restore_classes(session: Session, class_ids: Iterable[int]) -> None:
    """Restore those of the classes that were removed.

    A class whose name another class has taken gets a number after its name.
    """
    for class_id in class_ids:
        row = session.get(ImageClassRow, class_id)
        if row is None or row.removed_at is None:
            continue
        name = display_name(row.name)
        if name != row.name:
            at, free = 1, name
            while _find_by_name(session, row.project_id, free) is not None:
                at += 1
                free = f"{name[: MAX_NAME_LENGTH - 1 - len(str(at))]} {at}"
            row.name = free
        row.removed_at = None
        session.flush()


def mark_class_removed(session: Session, class_id: int, now: datetime) -> None:
    """Mark a class without images as removed."""
    session.get_one(ImageClassRow, class_id).removed_at = now
    session.flush()


def _remove_with_labels(
    session: Session,
    project_id: int,
    class_id: int,
    target: Callable[[], LabelTarget],
    author: str,
    operation_id: str,
    now: datetime,
) -> None:
    if not _is_new_operation(session, project_id, operation_id):
        return
    active_class(session, project_id, class_id)
    # By state and class, as in the index.
    images = session.scalars(
        select(LabelRow.image_id).where(
            LabelRow.project_id == project_id, LabelRow.state == "labelled", LabelRow.class_id == class_id
        )
    ).all()
    record_operation(
        session,
        LabelOperation(
            operation_id,
            project_id,
            now,
            dict.fromkeys(images, target()),
            author=author,
            removed_class_id=class_id,
        ),
    )
    mark_class_removed(session, class_id, now)


def _apply_once(
    session: Session, project_id: int, operation_id: str, now: datetime, change: Callable[[], None]
) -> None:
    if _is_new_operation(session, project_id, operation_id):
        change()
        session.flush()
        record_operation(session, LabelOperation(operation_id, project_id, now))


def _is_new_operation(session: Session, project_id: int, operation_id: str) -> bool:
    if not lock_project(session, project_id):
        raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
    return session.get(LabelOperationRow, operation_id) is None


def _find_by_name(session: Session, project_id: int, name: str) -> ImageClassRow | None:
    return session.scalar(
        select(ImageClassRow).where(ImageClassRow.project_id == project_id, ImageClassRow.name == name)
    )


def _name_taken(name: str) -> ProjectError:
    return ProjectError(
        _("There is already a class named {name}. Choose another name, or merge the two.").format(name=name)
    )


@dataclass(frozen=True)
class ClassCount:
    """A class and the number of its images."""

    id: int
    name: str
    colour: str
    """`#rrggbb`; empty for the default."""
    hotkey: str
    position: int
    count: int


@dataclass(frozen=True)
class ProjectCounts:
    """The number of a project's images by class and by state."""

    classes: tuple[ClassCount, ...]
    labelled: int
    unlabelled: int
    rejected: int


def project_counts(session: Session, project_id: int) -> ProjectCounts:
    """Count a project's images; 100,000 take about 10 ms."""
    found = {
        (state, class_id): count
        for state, class_id, count in session.execute(
            select(LabelRow.state, LabelRow.class_id, func.count())
            .where(LabelRow.project_id == project_id)
            .group_by(LabelRow.state, LabelRow.class_id)
        )
    }

    def of_state(wanted: str) -> int:
        return sum(count for (state, _class), count in found.items() if state == wanted)

    return ProjectCounts(
        classes=tuple(
            ClassCount(
                row.id, row.name, row.colour, row.hotkey, row.position, found.get(("labelled", row.id), 0)
            )
            for row in active_classes(session, project_id)
        ),
        labelled=of_state("labelled"),
        unlabelled=of_state("unlabelled"),
        rejected=of_state("rejected"),
    )
