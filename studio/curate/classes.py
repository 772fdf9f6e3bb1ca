"""A project's classes: added, renamed, ordered, given colours and keys, merged and removed.

Each act is written into the history, so that other windows hear of it. Those that change labels, merging and
removing, belong to their author and can be undone; the others have no author there.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.labelling import Target, class_ids, hold, record
from db.models import ImageClassRow, LabelOperationRow, LabelRow
from studio.errors import ProjectError
from studio.i18n import _

LONGEST = 80
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_ASIDE = "\x1f"
"""Stands behind the name of a removed class that another has taken; nothing that can be typed holds it."""


def add(session: Session, project_id: int, name: str, *, operation_id: str, now: datetime) -> None:
    """Make a class, last in order; one that had been removed is a class again.

    Raises ProjectError, as every act here does, when the project is not there, the name is not allowed, or a
    class has it already. An act that was done before (by its id) changes nothing.
    """

    def act() -> None:
        wanted = checked_name(name)
        if wanted in (row.name for row in active_classes(session, project_id)):
            raise _taken(wanted)
        class_ids(session, project_id, [wanted])

    _once(session, project_id, operation_id, now, act)


def rename(
    session: Session, project_id: int, class_id: int, name: str, *, operation_id: str, now: datetime
) -> None:
    """Give a class another name. A removed class that has it makes way."""

    def act() -> None:
        row, wanted = active_class(session, project_id, class_id), checked_name(name)
        if row.name == wanted:
            return
        other = _named(session, project_id, wanted)
        if other is not None and other.removed_at is None:
            raise _taken(wanted)
        if other is not None:
            other.name = f"{wanted}{_ASIDE}{other.id}"
            session.flush()
        row.name = wanted

    _once(session, project_id, operation_id, now, act)


def recolour(
    session: Session, project_id: int, class_id: int, colour: str, *, operation_id: str, now: datetime
) -> None:
    """Give a class a colour (`#rrggbb`), or none of its own (empty)."""

    def act() -> None:
        wanted = colour.lower()
        if wanted and not _COLOUR.fullmatch(wanted):
            raise ProjectError(
                _("expected a colour such as #e0457b; {colour!r} came.").format(colour=colour[:40])
            )
        active_class(session, project_id, class_id).colour = wanted

    _once(session, project_id, operation_id, now, act)


def set_hotkey(
    session: Session, project_id: int, class_id: int, hotkey: str, *, operation_id: str, now: datetime
) -> None:
    """Give a class a key, a digit or a letter, or none (empty). A class that had the key loses it."""

    def act() -> None:
        wanted = hotkey.lower()
        if wanted and not (len(wanted) == 1 and (wanted.isalpha() or wanted in "0123456789")):
            raise ProjectError(
                _("expected one digit or one letter as the key of a class; {hotkey!r} came.").format(
                    hotkey=hotkey[:40]
                )
            )
        row = active_class(session, project_id, class_id)
        if wanted:  # of removed ones too, which may come back
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

    _once(session, project_id, operation_id, now, act)


def reorder(
    session: Session, project_id: int, order: Sequence[int], *, operation_id: str, now: datetime
) -> None:
    """Put classes into an order, by their ids; those that it does not name follow as they stood."""

    def act() -> None:
        rows = {row.id: row for row in active_classes(session, project_id)}
        known = [class_id for class_id in dict.fromkeys(order) if class_id in rows]
        for position, class_id in enumerate(dict.fromkeys([*known, *rows])):
            rows[class_id].position = position

    _once(session, project_id, operation_id, now, act)


def merge(
    session: Session,
    project_id: int,
    class_id: int,
    into: int,
    *,
    author: str,
    operation_id: str,
    now: datetime,
) -> None:
    """Move all images of a class to another and remove it, as one act that can be undone."""

    def target() -> Target:
        if class_id == into:
            raise ProjectError(_("expected another class to merge into; the same one came. Choose another."))
        return ("labelled", active_class(session, project_id, into).id)

    _clear(session, project_id, class_id, target, author, operation_id, now)


def remove(
    session: Session, project_id: int, class_id: int, *, author: str, operation_id: str, now: datetime
) -> None:
    """Return all images of a class to the unlabelled and remove it, as one act that can be undone."""
    _clear(session, project_id, class_id, lambda: ("unlabelled", None), author, operation_id, now)


def class_of(session: Session, project_id: int, name: str) -> int:
    """Return the id of the project's class of that name, made last in order where it is missing.

    Raises ProjectError for a name that is empty or longer than 80 characters.
    """
    name = checked_name(name)
    return class_ids(session, project_id, [name])[name]


def checked_name(name: str) -> str:
    """Return a name as it is kept: on one line, its letters put together as Unicode's NFC says.

    Raises ProjectError where it is empty or longer than 80 characters.
    """
    name = unicodedata.normalize("NFC", "".join(c if c.isprintable() else " " for c in name))
    name = " ".join(name.split())
    if not name or len(name) > LONGEST:
        raise ProjectError(
            _("expected a class name of 1 to {longest} characters; got {length}.").format(
                longest=LONGEST, length=len(name)
            )
        )
    return name


def shown_name(name: str) -> str:
    """Return the name that a class had, also where a removed one has made way for another."""
    return name.partition(_ASIDE)[0]


def active_classes(session: Session, project_id: int) -> list[ImageClassRow]:
    """Return the rows of the project's classes in their order, without those that were removed."""
    row = ImageClassRow
    return list(
        session.scalars(
            select(row)
            .where(row.project_id == project_id, row.removed_at.is_(None))
            .order_by(row.position, row.id)
        )
    )


def active_class(session: Session, project_id: int, class_id: int) -> ImageClassRow:
    """Return a class's row. Raises ProjectError when the project has no such class, or it was removed."""
    row = session.get(ImageClassRow, class_id)
    if row is None or row.project_id != project_id:
        raise ProjectError(_("There is no such class in this project. Choose another."))
    if row.removed_at is not None:
        raise ProjectError(
            _("The class {name} was removed in the meantime. Choose another, or undo its removal.").format(
                name=shown_name(row.name)
            )
        )
    return row


def restore(session: Session, class_ids: Iterable[int]) -> None:
    """Make classes again of those among these that were removed.

    One whose name another has taken gets a number behind it.
    """
    for class_id in class_ids:
        row = session.get(ImageClassRow, class_id)
        if row is None or row.removed_at is None:
            continue
        name = shown_name(row.name)
        if name != row.name:
            at, free = 1, name
            while _named(session, row.project_id, free) is not None:
                at += 1
                free = f"{name[: LONGEST - 1 - len(str(at))]} {at}"
            row.name = free
        row.removed_at = None
        session.flush()


def mark_removed(session: Session, class_id: int, now: datetime) -> None:
    """Remove a class that has no images any more."""
    session.get_one(ImageClassRow, class_id).removed_at = now
    session.flush()


def _clear(
    session: Session,
    project_id: int,
    class_id: int,
    target: Callable[[], Target],
    author: str,
    operation_id: str,
    now: datetime,
) -> None:
    if not _begin(session, project_id, operation_id):
        return
    active_class(session, project_id, class_id)
    # By state and class, as the index goes.
    images = session.scalars(
        select(LabelRow.image_id).where(
            LabelRow.project_id == project_id, LabelRow.state == "labelled", LabelRow.class_id == class_id
        )
    ).all()
    record(
        session,
        operation_id=operation_id,
        project_id=project_id,
        at=now,
        targets=dict.fromkeys(images, target()),
        author=author,
        removed_class_id=class_id,
    )
    mark_removed(session, class_id, now)


def _once(
    session: Session, project_id: int, operation_id: str, now: datetime, act: Callable[[], None]
) -> None:
    if _begin(session, project_id, operation_id):
        act()
        session.flush()
        record(session, operation_id=operation_id, project_id=project_id, at=now, targets={})


def _begin(session: Session, project_id: int, operation_id: str) -> bool:
    if not hold(session, project_id):
        raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
    return session.get(LabelOperationRow, operation_id) is None


def _named(session: Session, project_id: int, name: str) -> ImageClassRow | None:
    return session.scalar(
        select(ImageClassRow).where(ImageClassRow.project_id == project_id, ImageClassRow.name == name)
    )


def _taken(name: str) -> ProjectError:
    return ProjectError(
        _("There is a class named {name} already. Choose another name, or merge the two.").format(name=name)
    )


@dataclass(frozen=True)
class ClassCount:
    """A class and how many images have it."""

    id: int
    name: str
    colour: str
    """`#rrggbb`; empty where nobody chose one."""
    hotkey: str
    position: int
    count: int


@dataclass(frozen=True)
class ProjectCounts:
    """All of a project's images by class and state."""

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

    def of(wanted: str) -> int:
        return sum(count for (state, _class), count in found.items() if state == wanted)

    return ProjectCounts(
        classes=tuple(
            ClassCount(
                row.id, row.name, row.colour, row.hotkey, row.position, found.get(("labelled", row.id), 0)
            )
            for row in active_classes(session, project_id)
        ),
        labelled=of("labelled"),
        unlabelled=of("unlabelled"),
        rejected=of("rejected"),
    )
