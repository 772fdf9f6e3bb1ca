"""The order, colours and hotkeys of a project's classes, as exports keep them and imports restore them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from db.labelling import get_or_create_class_ids, lock_project
from studio.datasets.names import clean_class_name
from studio.errors import ProjectError
from studio.i18n import _

MAX_CLASSES = 10_000
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_HOTKEY = re.compile(r"[0-9]|[^\W\d_]")


@dataclass(frozen=True)
class ClassStyle:
    """A class with its colour and hotkey."""

    name: str
    colour: str = ""
    """`#rrggbb`; empty for none."""
    hotkey: str = ""
    """A digit or a letter; empty for none."""


def class_styles(session: Session, project_id: int) -> tuple[ClassStyle, ...]:
    """Return the classes of a project in their order."""
    image_class = models.ImageClassRow
    rows = session.execute(
        select(image_class.name, image_class.colour, image_class.hotkey)
        .where(image_class.project_id == project_id, image_class.removed_at.is_(None))
        .order_by(image_class.position, image_class.id)
    )
    return tuple(ClassStyle(*row) for row in rows)


def parse_class_styles(values: object) -> tuple[ClassStyle, ...]:
    """Return the classes in a manifest's list; invalid ones are left out, and each name is taken once."""
    found: dict[str, ClassStyle] = {}
    for value in values[:MAX_CLASSES] if isinstance(values, list) else ():
        style = _parse_class_style(value) if isinstance(value, dict) else None
        if style is not None:
            found.setdefault(style.name, style)
    return tuple(found.values())


def _parse_class_style(value: dict[str, Any]) -> ClassStyle | None:
    name, colour, hotkey = (value.get(field) for field in ("name", "colour", "hotkey"))
    name = clean_class_name(name) if isinstance(name, str) else None
    if name is None:
        return None
    return ClassStyle(name, _matching(_COLOUR, colour), _matching(_HOTKEY, hotkey))


def _matching(pattern: re.Pattern[str], value: object) -> str:
    text = value.lower() if isinstance(value, str) else ""
    return text if pattern.fullmatch(text) else ""


def apply_class_styles(session: Session, project_id: int, styles: Sequence[ClassStyle]) -> None:
    """Add classes to a project, new ones last and in this order; repeating it changes nothing.

    An existing class keeps its place, colour and hotkey, and gets those that it lacks. No hotkey is given to
    two classes. Raises ProjectError when there is no such project.
    """
    if not lock_project(session, project_id):
        raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
    get_or_create_class_ids(session, project_id, [style.name for style in styles])
    image_class = models.ImageClassRow
    existing = session.scalars(
        select(image_class).where(image_class.project_id == project_id, image_class.removed_at.is_(None))
    )
    rows = {row.name: row for row in existing}
    taken = {row.hotkey for row in rows.values()}
    for style in styles:
        row = rows[style.name]
        row.colour = row.colour or style.colour
        if not row.hotkey and style.hotkey not in taken:
            row.hotkey = style.hotkey
            taken.add(style.hotkey)
    session.flush()


def merge_class_styles(styles: Iterable[ClassStyle]) -> tuple[ClassStyle, ...]:
    """Return each class once, with its first style."""
    found: dict[str, ClassStyle] = {}
    for style in styles:
        found.setdefault(style.name, style)
    return tuple(found.values())
