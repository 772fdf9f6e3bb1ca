"""The orders in which pictures can be walked through: each a list of segments, each over one index.

A segment is a driving table with the columns of its index: the walk reads a window of it from a key on,
never more, and looks at each candidate. Which table drives depends on the filter too: few clashes are not
looked for among a hundred thousand labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, exists, tuple_
from sqlalchemy.orm import QueryableAttribute, aliased

from db.curate_models import Finding, LabelClash
from db.models import CopyGroup, Label
from studio.curate.asking import whole
from studio.curate.filters import Filter
from studio.curate.open_findings import WAITING, has_open, is_open, least_score

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
    """The columns of the key; the picture's id is the last."""
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
    """Whether a picture can stand in the index more than once."""


def segments(order: Order, asked: Filter, project_id: int) -> list[Segment]:
    """Return the segments of an order, one after the other; together they hold each picture once.

    The orders by a finding have the pictures without one at their end, and the order of groups those that
    have no copies; the newest come first there.
    `strongest` is by the finding that the filter asks for. `alike` has no index; see `studio.curate.walk`.
    """
    if asked.is_empty:
        return []
    by_age = _by_age(asked, project_id, newest=order != "oldest")
    by = asked.found if order == "strongest" else order
    if by is None or by in ("newest", "oldest", "alike"):
        return [by_age]
    if order == "group":
        grouped = aliased(CopyGroup)
        alone = ~exists().where(grouped.project_id == project_id, grouped.image_id == by_age.image)
        first = _by_group(asked, project_id)
        return [first] if asked.copies else [first, _only(by_age, alone)]
    state = "unlabelled" if by in WAITING else "labelled" if by == "doubtful" else None
    if state is not None and asked.state not in (None, state):
        return [by_age]  # no picture of another state has such a finding
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
        image, within = LabelClash.image_id, [LabelClash.project_id == project_id]
        passes, left = _label_passes(asked, project_id, image), replace(asked, clash=False)
    elif asked.found is not None or asked.suggested is not None:
        kind = asked.found or "suggestion"
        image, within = Finding.image_id, [Finding.project_id == project_id, Finding.kind == kind]
        own, left = _of_finding(kind, asked)
        passes = [*own, *_label_passes(asked, project_id, image, kind)]
    elif asked.copies:
        image, within = CopyGroup.image_id, [CopyGroup.project_id == project_id]
        passes = _label_passes(asked, project_id, image)
    else:
        image, within = Label.image_id, [Label.project_id == project_id, *asked.label_conditions(Label)]
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
    score, image = Finding.score, Finding.image_id
    own, left = _of_finding(kind, asked)
    passes = _label_passes(asked, project_id, image, kind)
    return Segment(
        image=image,
        keys=[score, image],
        types=[float, _whole],
        order=[score.desc(), image.desc()],
        after=lambda key: tuple_(score, image) < tuple_(*key),
        # An index goes by the class and the score too.
        within=[Finding.project_id == project_id, Finding.kind == kind, *own],
        passes=[*passes, *left.conditions(project_id, image)],
        # Pictures stand here in no order of theirs, so that each is looked for in another place.
        looks=2 * (2 * len(passes) + left.looks),
    )


def _by_group(asked: Filter, project_id: int) -> Segment:
    group, image = CopyGroup.group_id, CopyGroup.image_id
    passes = _label_passes(asked, project_id, image)
    return Segment(
        image=image,
        keys=[group, image],
        types=[_whole, _whole],
        order=[group.desc(), image.asc()],
        # The first condition is for the index.
        after=lambda key: (group <= key[0]) & ((group < key[0]) | (image > key[1])),
        within=[CopyGroup.project_id == project_id],
        passes=[*passes, *asked.conditions(project_id, image)],
        looks=2 * len(passes) + asked.looks,
    )


def _of_finding(kind: str, asked: Filter) -> tuple[list[ColumnElement[bool]], Filter]:
    """Return what a filter asks of the finding that drives a segment, and what is left of the filter."""
    own: list[ColumnElement[bool]] = []
    least = least_score(kind)
    if asked.found == kind:
        own += [] if least is None else [Finding.score >= least]
        asked = replace(asked, found=None)
    if kind == "suggestion" and asked.suggested is not None:
        own.append(Finding.class_id == asked.suggested)
        asked = replace(asked, suggested=None)
    return own, asked


def _label_passes(
    asked: Filter, project_id: int, image: QueryableAttribute[int], kind: str | None = None
) -> list[ColumnElement[bool]]:
    """Return what must hold of the candidate's label: the filter's wishes, and that its finding is open."""
    label = aliased(Label)
    wanted = asked.label_conditions(label)
    if kind is not None:
        wanted = [*wanted, *is_open(kind, Finding, label)]
    if not wanted:
        return []
    return [exists().where(label.project_id == project_id, label.image_id == image, *wanted)]


def _whole(text: str) -> int:
    return whole(text, "after")
