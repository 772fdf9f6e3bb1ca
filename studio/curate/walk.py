"""A walk through the pictures of a project: a window of an index at a time, however many there are.

Each step looks at no more than `limit` candidates and returns those that pass the filter, however few, with
the place to go on from. So every combination of filters costs the same, which OFFSET, or a search for sixty
that pass, does not.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import and_, case, literal_column, select
from sqlalchemy.orm import Session

from db.models import Label
from studio.curate.alike import alike
from studio.curate.asking import NotUnderstood, whole
from studio.curate.filters import Filter
from studio.curate.orders import Key, Order, Segment, segments
from studio.curate.sides import side_columns, side_of
from studio.language import _

_CHUNK = 500
MOST_CANDIDATES = 8_192
_FEWEST = 256
_FREE_LOOKS = 4
"""Where more is looked up for each candidate, fewer are looked at, so that a step takes no longer."""


@dataclass(frozen=True)
class Step:
    """Ids of pictures in the walk's order, and where it goes on; None at the end."""

    ids: tuple[int, ...]
    next: str | None


def walk(
    session: Session,
    project_id: int,
    order: Order,
    asked: Filter,
    *,
    after: str | None = None,
    limit: int = MOST_CANDIDATES,
    like: tuple[Path, int] | None = None,
) -> Step:
    """Return the pictures among the next `limit` candidates, or fewer, that pass the filter.

    after: the `next` of the step before. like, for the order `alike`: the folder of the project's study, and
    the picture that others should resemble. A picture comes once; one that is decided about while somebody
    walks in the order of what was found may come again, at the place that it has then.

    Raises NotUnderstood for a place that no walk in this order has.
    """
    if order == "alike":
        return _walk_alike(session, project_id, asked, after, limit, like)
    parts = segments(order, asked, project_id)
    at, key = _place(after, parts)
    found: list[int] = []
    share = 1.0
    for number, segment in enumerate(parts[at:], at):
        most = _most(limit * share, segment.looks)
        rows = _window(session, project_id, segment, asked, key, most)
        found += _passing(rows, asked)
        if len(rows) == most:
            return Step(tuple(found), _cursor(number, segment, rows[-1]))
        share -= share * len(rows) / most
        key = None
    return Step(tuple(found), None)


def _walk_alike(
    session: Session,
    project_id: int,
    asked: Filter,
    after: str | None,
    limit: int,
    like: tuple[Path, int] | None,
) -> Step:
    """Walk from the most alike on; then, as a second segment, through those that no study has seen."""
    if like is None:
        raise NotUnderstood(_("expected the picture that others should resemble as like; none came."))
    folder, image = like
    known = _known(folder)
    if image not in known:
        raise NotUnderstood(
            _("The studio has not compared this picture with others yet. Try again when it has.")
        )
    rest = segments("alike", asked, project_id)
    at, key = _place(after, [_Listed(), *rest])
    found: list[int] = []
    if at == 0:
        start = int(key[0]) if key else 0
        most = _most(limit, asked.looks + 2)
        near = [other for other, _likeness in alike(folder, image, start + most)][start:]
        found = those_that_pass(session, project_id, near, asked)
        if len(near) == most:
            return Step(tuple(found), f"0:{start + most}")
        key = None
    for segment in rest:
        most = _most(limit, segment.looks)
        rows = _window(session, project_id, segment, asked, key, most)
        found += [image for image in _passing(rows, asked) if image not in known]
        if len(rows) == most:
            return Step(tuple(found), _cursor(1, segment, rows[-1]))
    return Step(tuple(found), None)


def _most(limit: float, looks: int) -> int:
    return max(min(_FEWEST, math.ceil(limit)), math.ceil(limit * _FREE_LOOKS / (_FREE_LOOKS + looks)))


def _place(after: str | None, parts: Sequence["Segment | _Listed"]) -> tuple[int, Key | None]:
    """Return the segment's number and the key in it that a cursor names."""
    if after is None:
        return 0, None
    number, *values = after.split(":")
    try:
        at = whole(number, "after", len(parts) - 1)
        return at, tuple(read(v) for read, v in zip(parts[at].types, values, strict=True))
    except (ValueError, NotUnderstood) as error:
        raise NotUnderstood(
            _("expected the place where the list goes on; {after!r} came. Reload the page.").format(
                after=after[:60]
            )
        ) from error


def _cursor(number: int, segment: Segment, row: Sequence[Any]) -> str:
    return ":".join((str(number), *map(repr, row[: len(segment.keys)])))


def _window(
    session: Session, project_id: int, segment: Segment, asked: Filter, key: Key | None, limit: int
) -> Sequence[Any]:
    """Return the key of each candidate, whether it passes, and what its split is decided by where asked."""
    passes = case((and_(*segment.passes), 1), else_=0) if segment.passes else literal_column("1")
    sides = [] if asked.split is None else side_columns(project_id, segment.image)
    statement = select(*segment.keys, passes, *sides)
    statement = statement.where(*segment.within).order_by(*segment.order).limit(limit)
    if key is not None:
        statement = statement.where(segment.after(key))
    if segment.grouped:
        statement = statement.group_by(*segment.keys)
    return session.connection().execute(statement).all()


def _passing(rows: Iterable[Any], asked: Filter) -> list[int]:
    if asked.split is None:
        return [row[-2] for row in rows if row[-1]]
    return [
        image
        for *_key, image, passes, given, digest in rows
        if passes and side_of(given, digest) == asked.split
    ]


def those_that_pass(session: Session, project_id: int, images: list[int], asked: Filter) -> list[int]:
    """Return those of the pictures that pass the filter, in their order."""
    sides = [] if asked.split is None else side_columns(project_id, Label.image_id)
    conditions = [*asked.label_conditions(Label), *asked.conditions(project_id, Label.image_id)]
    passing: set[int] = set()
    for start in range(0, len(images), _CHUNK):
        rows = session.connection().execute(
            select(Label.image_id, literal_column("1"), *sides).where(
                Label.project_id == project_id,
                Label.image_id.in_(images[start : start + _CHUNK]),
                *conditions,
            )
        )
        passing.update(_passing(rows, asked))
    return [image for image in images if image in passing]


def _known(folder: Path) -> set[int]:
    """Return the pictures that the study in a folder has seen; none where there is no study yet."""
    try:
        ids: list[int] = np.load(folder / "ids.npy").tolist()
    except FileNotFoundError:
        return set()
    return set(ids)


@dataclass(frozen=True)
class _Listed:
    """The pictures that a study has seen: a walk stands in them by how many have been looked at."""

    types: tuple[Callable[[str], float], ...] = (partial(whole, name="after"),)
