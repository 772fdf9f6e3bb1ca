"""A walk through the images of a project: a window of an index at a time, however many there are.

Each step looks at no more than `limit` candidates and returns those that pass the filter, however few, with
the place to go on from. So every combination of filters costs the same, which OFFSET, or a search for sixty
that pass, does not.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from sqlalchemy import ColumnElement, and_, case, exists, literal_column, select, tuple_
from sqlalchemy.orm import QueryableAttribute, Session, aliased

from db.models import DuplicateGroupRow, FindingRow, LabelClashRow, LabelRow
from studio.curate.analysis_files import IDS, VECTORS, Studied, read_studied
from studio.curate.filters import Filter
from studio.curate.findings import WAITING, has_open, is_open, least_score
from studio.curate.params import NotUnderstood, whole
from studio.datasets.split_query import side_columns, side_of
from studio.i18n import _

Order = Literal[
    "newest", "oldest", "next", "uncertain", "doubtful", "suggestion", "spread", "strongest", "group", "alike"
]
ORDERS: tuple[Order, ...] = get_args(Order)
Key = tuple[float, ...]
"""Where a walk stands in a segment's index."""


@dataclass(frozen=True)
class Segment:
    """One index of a walk: which part of it, in which order, and what a candidate must be."""

    image: QueryableAttribute[int]
    keys: Sequence[QueryableAttribute[Any]]
    """The columns of the key; the image's id is the last."""
    types: Sequence[Callable[[str], float]]
    """How each column's value is read from text."""
    order: Sequence[ColumnElement[Any]]
    after: Callable[[Key], ColumnElement[bool]]
    within: Sequence[ColumnElement[bool]]
    """What the index itself selects by."""
    passes: Sequence[ColumnElement[bool]] = ()
    """What is asked of each candidate of the window."""
    looks: int = 0
    """How much is looked up for each candidate, where one row by its key counts as two."""
    grouped: bool = False
    """Whether an image can stand in the index more than once."""


def segments(order: Order, asked: Filter, project_id: int) -> list[Segment]:
    """Return the segments of an order, one after the other; together they hold each image once.

    The orders by a finding have the images without one at their end, and the order of groups those that
    have no copies; the newest come first there.
    `strongest` is by the finding that the filter asks for. `alike` has no index; see `studio.curate.paging`.
    """
    if asked.is_empty:
        return []
    by_age = _by_age(asked, project_id, newest=order != "oldest")
    by = asked.found if order == "strongest" else order
    if by is None or by in ("newest", "oldest", "alike"):
        return [by_age]
    if order == "group":
        grouped = aliased(DuplicateGroupRow)
        alone = ~exists().where(grouped.project_id == project_id, grouped.image_id == by_age.image)
        first = _by_group(asked, project_id)
        return [first] if asked.copies else [first, _only(by_age, alone)]
    state = "unlabelled" if by in WAITING else "labelled" if by == "doubtful" else None
    if state is not None and asked.state not in (None, state):
        return [by_age]  # no image of another state has such a finding
    first = _by_finding(by, asked, project_id)
    if asked.found == by or (by == "suggestion" and asked.suggested is not None):
        return [first]
    return [first, _only(by_age, ~has_open(by, project_id, by_age.image))]


def _only(segment: Segment, condition: ColumnElement[bool]) -> Segment:
    return replace(segment, passes=[*segment.passes, condition], looks=segment.looks + 2)


def _by_age(asked: Filter, project_id: int, *, newest: bool) -> Segment:
    image: QueryableAttribute[int]
    passes: list[ColumnElement[bool]] = []
    left = asked
    if asked.clash:
        image, within = LabelClashRow.image_id, [LabelClashRow.project_id == project_id]
        passes, left = _label_passes(asked, project_id, image), replace(asked, clash=False)
    elif asked.found is not None or asked.suggested is not None:
        kind = asked.found or "suggestion"
        image, within = FindingRow.image_id, [FindingRow.project_id == project_id, FindingRow.kind == kind]
        own, left = _of_finding(kind, asked)
        passes = [*own, *_label_passes(asked, project_id, image, kind)]
    elif asked.copies:
        image, within = DuplicateGroupRow.image_id, [DuplicateGroupRow.project_id == project_id]
        passes = _label_passes(asked, project_id, image)
    else:
        image, within = (
            LabelRow.image_id,
            [LabelRow.project_id == project_id, *asked.label_conditions(LabelRow)],
        )
    return Segment(
        image=image,
        keys=[image],
        types=[_whole],
        order=[image.desc() if newest else image.asc()],
        after=lambda key: image < key[0] if newest else image > key[0],
        within=within,
        passes=[*passes, *left.conditions(project_id, image)],
        looks=2 * len(passes) + left.looks,
        grouped=asked.clash,
    )


def _by_finding(kind: str, asked: Filter, project_id: int) -> Segment:
    score, image = FindingRow.score, FindingRow.image_id
    own, left = _of_finding(kind, asked)
    passes = _label_passes(asked, project_id, image, kind)
    return Segment(
        image=image,
        keys=[score, image],
        types=[float, _whole],
        order=[score.desc(), image.desc()],
        after=lambda key: tuple_(score, image) < tuple_(*key),
        # An index goes by the class and the score too.
        within=[FindingRow.project_id == project_id, FindingRow.kind == kind, *own],
        passes=[*passes, *left.conditions(project_id, image)],
        # Images stand here in no order of theirs, so that each is looked for in another place.
        looks=2 * (2 * len(passes) + left.looks),
    )


def _by_group(asked: Filter, project_id: int) -> Segment:
    group, image = DuplicateGroupRow.group_id, DuplicateGroupRow.image_id
    passes = _label_passes(asked, project_id, image)
    return Segment(
        image=image,
        keys=[group, image],
        types=[_whole, _whole],
        order=[group.desc(), image.asc()],
        # The first condition is for the index.
        after=lambda key: (group <= key[0]) & ((group < key[0]) | (image > key[1])),
        within=[DuplicateGroupRow.project_id == project_id],
        passes=[*passes, *asked.conditions(project_id, image)],
        looks=2 * len(passes) + asked.looks,
    )


def _of_finding(kind: str, asked: Filter) -> tuple[list[ColumnElement[bool]], Filter]:
    """Return what a filter asks of the finding that drives a segment, and what is left of the filter."""
    own: list[ColumnElement[bool]] = []
    least = least_score(kind)
    if asked.found == kind:
        own += [] if least is None else [FindingRow.score >= least]
        asked = replace(asked, found=None)
    if kind == "suggestion" and asked.suggested is not None:
        own.append(FindingRow.class_id == asked.suggested)
        asked = replace(asked, suggested=None)
    return own, asked


def _label_passes(
    asked: Filter, project_id: int, image: QueryableAttribute[int], kind: str | None = None
) -> list[ColumnElement[bool]]:
    """Return what must hold of the candidate's label: the filter's wishes, and that its finding is open."""
    label = aliased(LabelRow)
    wanted = asked.label_conditions(label)
    if kind is not None:
        wanted = [*wanted, *is_open(kind, FindingRow, label)]
    if not wanted:
        return []
    return [exists().where(label.project_id == project_id, label.image_id == image, *wanted)]


def _whole(text: str) -> int:
    return whole(text, "after")


_KEPT = 2
"""So many projects' vectors stay in memory, 51 MB each for 100,000 images."""
_Identity = tuple[tuple[int, int, int], ...]
_lock = threading.Lock()
_kept: OrderedDict[Path, tuple[_Identity, Studied]] = OrderedDict()


def alike(folder: Path, image_id: int, limit: int) -> list[tuple[int, float]]:
    """Return up to `limit` image ids with their cosines, the nearest first, the image itself at the head.

    folder: where the project's survey left its files. Empty where the survey has not seen the image.
    100,000 images take some milliseconds, once they are in memory.
    """
    studied = _studied(folder)
    if studied is None or limit < 1:
        return []
    place = int(np.searchsorted(studied.ids, image_id))
    if place == len(studied.ids) or studied.ids[place] != image_id:
        return []
    cosines = studied.vectors @ studied.vectors[place]
    cosines[place] = np.inf  # before its exact copies, whatever is rounded
    count = min(limit, len(cosines))
    nearest = np.argpartition(-cosines, count - 1)[:count]
    # By id where two are as near: a walk goes through the same list again and again.
    nearest = nearest[np.lexsort((studied.ids[nearest], -cosines[nearest]))]
    cosines[place] = 1.0
    return list(zip(studied.ids[nearest].tolist(), cosines[nearest].tolist(), strict=True))


def _studied(folder: Path) -> Studied | None:
    identity = _identity(folder)
    if identity is None:
        return None
    with _lock:
        known = _kept.get(folder)
        if known is None or known[0] != identity:
            found = read_studied(folder)
            if found is None:
                return None
            # Where they were replaced meanwhile they are read again the next time.
            known = _kept[folder] = (identity, found)
        _kept.move_to_end(folder)
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
        return known[1]


def _identity(folder: Path) -> _Identity | None:
    try:
        stats = [(folder / name).stat() for name in (IDS, VECTORS)]
    except OSError:
        return None
    return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)


_CHUNK = 500
MOST_CANDIDATES = 8_192
_FEWEST = 256
_FREE_LOOKS = 4
"""Where more is looked up for each candidate, fewer are looked at, so that a step takes no longer."""


@dataclass(frozen=True)
class Step:
    """Ids of images in the walk's order, and where it goes on; None at the end."""

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
    """Return the images among the next `limit` candidates, or fewer, that pass the filter.

    after: the `next` of the step before. like, for the order `alike`: the folder of the project's study, and
    the image that others should resemble. An image comes once; one that is decided about while somebody
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
        raise NotUnderstood(_("expected the image that others should resemble as like; none came."))
    folder, image = like
    known = _known(folder)
    if image not in known:
        raise NotUnderstood(
            _("The studio has not compared this image with others yet. Try again when it has.")
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
    """Return those of the images that pass the filter, in their order."""
    sides = [] if asked.split is None else side_columns(project_id, LabelRow.image_id)
    conditions = [*asked.label_conditions(LabelRow), *asked.conditions(project_id, LabelRow.image_id)]
    passing: set[int] = set()
    for start in range(0, len(images), _CHUNK):
        rows = session.connection().execute(
            select(LabelRow.image_id, literal_column("1"), *sides).where(
                LabelRow.project_id == project_id,
                LabelRow.image_id.in_(images[start : start + _CHUNK]),
                *conditions,
            )
        )
        passing.update(_passing(rows, asked))
    return [image for image in images if image in passing]


def _known(folder: Path) -> set[int]:
    """Return the images that the study in a folder has seen; none where there is no study yet."""
    try:
        ids: list[int] = np.load(folder / "ids.npy").tolist()
    except FileNotFoundError:
        return set()
    return set(ids)


@dataclass(frozen=True)
class _Listed:
    """The images that a study has seen: a walk stands in them by how many have been looked at."""

    types: tuple[Callable[[str], float], ...] = (partial(whole, name="after"),)
