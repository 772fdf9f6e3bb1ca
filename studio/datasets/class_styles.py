"""How a project's classes look: their order, colours and keys, kept in exports and brought back by them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from db.labelling import class_ids, hold
from studio.datasets.names import class_name_of
from studio.errors import ProjectError
from studio.i18n import _

MAX_CLASSES = 10_000
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_HOTKEY = re.compile(r"[0-9]|[^\W\d_]")


@dataclass(frozen=True)
class ClassLook:
    """A class, as one sees it."""

    name: str
    colour: str = ""
    """`#rrggbb`; empty where nobody chose one."""
    hotkey: str = ""
    """A digit or a letter; empty where nobody chose one."""


def class_looks(session: Session, project_id: int) -> tuple[ClassLook, ...]:
    """Return a project's classes in their order."""
    kind = models.ImageClassRow
    rows = session.execute(
        select(kind.name, kind.colour, kind.hotkey)
        .where(kind.project_id == project_id, kind.removed_at.is_(None))
        .order_by(kind.position, kind.id)
    )
    return tuple(ClassLook(*row) for row in rows)


def looks_of(values: object) -> tuple[ClassLook, ...]:
    """Return the classes that a file lists, without what is none; each name once."""
    found: dict[str, ClassLook] = {}
    for value in values[:MAX_CLASSES] if isinstance(values, list) else ():
        look = _look(value) if isinstance(value, dict) else None
        if look is not None:
            found.setdefault(look.name, look)
    return tuple(found.values())


def _look(value: dict[str, Any]) -> ClassLook | None:
    name, colour, hotkey = (value.get(field) for field in ("name", "colour", "hotkey"))
    name = class_name_of(name) if isinstance(name, str) else None
    if name is None:
        return None
    return ClassLook(name, _matching(_COLOUR, colour), _matching(_HOTKEY, hotkey))


def _matching(pattern: re.Pattern[str], value: object) -> str:
    text = value.lower() if isinstance(value, str) else ""
    return text if pattern.fullmatch(text) else ""


def settle(session: Session, project_id: int, looks: Sequence[ClassLook]) -> None:
    """Give a project these classes, new ones last and in this order; done twice, it changes nothing.

    A class that is there keeps its place, and the colour and key that somebody chose for it. No key is given
    to two. Raises ProjectError when the project is not there.
    """
    if not hold(session, project_id):
        raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
    class_ids(session, project_id, [look.name for look in looks])
    kind = models.ImageClassRow
    standing = select(kind).where(kind.project_id == project_id, kind.removed_at.is_(None))
    rows = {row.name: row for row in session.scalars(standing)}
    taken = {row.hotkey for row in rows.values()}
    for look in looks:
        row = rows[look.name]
        row.colour = row.colour or look.colour
        if not row.hotkey and look.hotkey not in taken:
            row.hotkey = look.hotkey
            taken.add(look.hotkey)
    session.flush()


def merged(looks: Iterable[ClassLook]) -> tuple[ClassLook, ...]:
    """Return each class once, as it looked first."""
    found: dict[str, ClassLook] = {}
    for look in looks:
        found.setdefault(look.name, look)
    return tuple(found.values())
