"""Keyset pagination of a project's images: a window of an index at a time, by any filter and sort order.

A request examines at most `limit` candidates and returns those that pass the filter, however few, with the
cursor of the next page. So every combination of filters has the same bounded cost, unlike OFFSET or a query
that runs until it has found a full page.
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
from studio.curate.analysis_files import IDS_FILE, VECTORS_FILE, AnalysisVectors, read_vectors
from studio.curate.analysis_results import (
    LABEL_ISSUE,
    UNLABELLED_KINDS,
    has_open_result,
    min_score,
    open_conditions,
)
from studio.curate.filters import Filter
from studio.curate.params import InvalidRequest, parse_int
from studio.datasets.split_query import image_split, split_columns
from studio.i18n import _

SortOrder = Literal[
    "newest", "oldest", "next", "uncertain", "doubtful", "suggestion", "spread", "strongest", "group", "alike"
]
"""As in URLs. alike: most similar to one image first; strongest: by the score of the filter's result kind."""
SORT_ORDERS: tuple[SortOrder, ...] = get_args(SortOrder)
MAX_CANDIDATES = 8_192
CursorKey = tuple[float, ...]
"""A position in a segment's index."""
_MIN_CANDIDATES = 256
_FREE_LOOKUPS = 4
"""Where each candidate costs more look-ups, fewer are examined, so that a page takes no longer."""
_CHUNK_SIZE = 500
_MAX_CACHED = 2
"""So many projects' vectors stay in memory, 51 MB each for 100,000 images."""
_FileIdentity = tuple[tuple[int, int, int], ...]
_cache_lock = threading.Lock()
_vector_cache: OrderedDict[Path, tuple[_FileIdentity, AnalysisVectors]] = OrderedDict()
_parse_key = partial(parse_int, name="after")


@dataclass(frozen=True)
class Page:
    """A page of image ids in the sort order, and the cursor of the next one; None at the end."""

    ids: tuple[int, ...]
    next_cursor: str | None


@dataclass(frozen=True)
class SimilarTo:
    """The reference of the sort order `alike`."""

    folder: Path
    """The folder of the project's analysis files."""
    image_id: int


@dataclass(frozen=True)
class Segment:
    """A part of a sort order that one index serves."""

    image: QueryableAttribute[int]
    keys: Sequence[QueryableAttribute[Any]]
    """The columns of the key; the image's id is the last."""
    types: Sequence[Callable[[str], float]]
    """Parsers of the columns' values in a cursor."""
    order: Sequence[ColumnElement[Any]]
    after: Callable[[CursorKey], ColumnElement[bool]]
    within: Sequence[ColumnElement[bool]]
    """Conditions that the index selects by."""
    conditions: Sequence[ColumnElement[bool]] = ()
    """Further conditions on each candidate."""
    lookup_cost: int = 0
    """The cost of the look-ups for each candidate, where one row by its key counts as two."""
    grouped: bool = False
    """Whether an image can be in the index more than once."""


@dataclass(frozen=True)
class _SimilarSegment:
    """The analysed images by similarity: the key is the number of images examined."""

    types: tuple[Callable[[str], float], ...] = (_parse_key,)


def next_page(
    session: Session,
    project_id: int,
    order: SortOrder,
    filter_: Filter,
    *,
    after: str | None = None,
    limit: int = MAX_CANDIDATES,
    similar_to: SimilarTo | None = None,
) -> Page:
    """Return the images among at most the next `limit` candidates that pass the filter.

    after: the cursor of the page before. similar_to: for the order `alike`. Each image is returned once; an
    image labelled in the meantime may be returned again at its new position in an order by results.

    Raises InvalidRequest for a cursor that this order does not have.
    """
    if order == "alike":
        return _next_similar_page(session, project_id, filter_, after, limit, similar_to)
    segments = index_segments(order, filter_, project_id)
    at, key = _parse_cursor(after, segments)
    found: list[int] = []
    share = 1.0
    for number, segment in enumerate(segments[at:], at):
        size = _window_size(limit * share, segment.lookup_cost)
        rows = _query_window(session, project_id, segment, filter_, key, size)
        found += _passing_ids(rows, filter_)
        if len(rows) == size:
            return Page(tuple(found), _format_cursor(number, segment, rows[-1]))
        share -= share * len(rows) / size
        key = None
    return Page(tuple(found), None)


def filter_images(session: Session, project_id: int, images: list[int], filter_: Filter) -> list[int]:
    """Return those of the images that pass the filter, in their order."""
    split_parts = [] if filter_.split is None else split_columns(project_id, LabelRow.image_id)
    conditions = [*filter_.label_conditions(LabelRow), *filter_.conditions(project_id, LabelRow.image_id)]
    passing: set[int] = set()
    for start in range(0, len(images), _CHUNK_SIZE):
        rows = session.connection().execute(
            select(LabelRow.image_id, literal_column("1"), *split_parts).where(
                LabelRow.project_id == project_id,
                LabelRow.image_id.in_(images[start : start + _CHUNK_SIZE]),
                *conditions,
            )
        )
        passing.update(_passing_ids(rows, filter_))
    return [image for image in images if image in passing]


def nearest_images(folder: Path, image_id: int, limit: int) -> list[tuple[int, float]]:
    """Return up to `limit` image ids with their cosines, the image itself first, then the most similar.

    folder: the project's analysis files. Empty where the analysis has not seen the image. 100,000 images take
    some milliseconds once they are in memory.
    """
    analysed = _cached_vectors(folder)
    if analysed is None or limit < 1:
        return []
    place = int(np.searchsorted(analysed.ids, image_id))
    if place == len(analysed.ids) or analysed.ids[place] != image_id:
        return []
    cosines = analysed.vectors @ analysed.vectors[place]
    cosines[place] = np.inf  # before its duplicates, whatever the rounding
    count = min(limit, len(cosines))
    nearest = np.argpartition(-cosines, count - 1)[:count]
    # Ties by id: every page computes the same list again.
    nearest = nearest[np.lexsort((analysed.ids[nearest], -cosines[nearest]))]
    cosines[place] = 1.0
    return list(zip(analysed.ids[nearest].tolist(), cosines[nearest].tolist(), strict=True))


def index_segments(order: SortOrder, filter_: Filter, project_id: int) -> list[Segment]:
    """Return the segments of a sort order, one after the other; together they have each image once.

    Orders by a result kind end with the images without a result, and `group` with those without duplicates,
    the newest first. For `alike` these are the images that no analysis has seen: similarity has no index.
    """
    if filter_.is_empty:
        return []
    by_age = _by_age(filter_, project_id, newest=order != "oldest")
    by = filter_.result_kind if order == "strongest" else order
    if by is None or by in ("newest", "oldest", "alike"):
        return [by_age]
    if order == "group":
        grouped = aliased(DuplicateGroupRow)
        alone = ~exists().where(grouped.project_id == project_id, grouped.image_id == by_age.image)
        first = _by_group(filter_, project_id)
        return [first] if filter_.has_duplicates else [first, _with_condition(by_age, alone)]
    state = "unlabelled" if by in UNLABELLED_KINDS else "labelled" if by == LABEL_ISSUE else None
    if state is not None and filter_.state not in (None, state):
        return [by_age]  # no image of another state has such a result
    first = _by_result(by, filter_, project_id)
    if filter_.result_kind == by or (by == "suggestion" and filter_.suggested_class_id is not None):
        return [first]
    return [first, _with_condition(by_age, ~has_open_result(by, project_id, by_age.image))]


def _next_similar_page(
    session: Session,
    project_id: int,
    filter_: Filter,
    after: str | None,
    limit: int,
    similar_to: SimilarTo | None,
) -> Page:
    """Return a page by similarity; then, as a second segment, images that no analysis has seen."""
    if similar_to is None:
        raise InvalidRequest(_("expected an image to compare with as like; got none."))
    analysed = _analysed_ids(similar_to.folder)
    if similar_to.image_id not in analysed:
        raise InvalidRequest(
            _("This image has not been compared with others yet. Try again when the analysis is done.")
        )
    rest = index_segments("alike", filter_, project_id)
    at, key = _parse_cursor(after, [_SimilarSegment(), *rest])
    found: list[int] = []
    if at == 0:
        start = int(key[0]) if key else 0
        size = _window_size(limit, filter_.lookup_cost + 2)
        nearest = nearest_images(similar_to.folder, similar_to.image_id, start + size)[start:]
        found = filter_images(session, project_id, [image for image, _cosine in nearest], filter_)
        if len(nearest) == size:
            return Page(tuple(found), f"0:{start + size}")
        key = None
    for segment in rest:
        size = _window_size(limit, segment.lookup_cost)
        rows = _query_window(session, project_id, segment, filter_, key, size)
        found += [image for image in _passing_ids(rows, filter_) if image not in analysed]
        if len(rows) == size:
            return Page(tuple(found), _format_cursor(1, segment, rows[-1]))
    return Page(tuple(found), None)


def _with_condition(segment: Segment, condition: ColumnElement[bool]) -> Segment:
    return replace(segment, conditions=[*segment.conditions, condition], lookup_cost=segment.lookup_cost + 2)


def _by_age(filter_: Filter, project_id: int, *, newest: bool) -> Segment:
    image: QueryableAttribute[int]
    conditions: list[ColumnElement[bool]] = []
    left = filter_
    if filter_.has_clash:
        image, within = LabelClashRow.image_id, [LabelClashRow.project_id == project_id]
        conditions, left = _label_conditions(filter_, project_id, image), replace(filter_, has_clash=False)
    elif filter_.result_kind is not None or filter_.suggested_class_id is not None:
        kind = filter_.result_kind or "suggestion"
        image, within = FindingRow.image_id, [FindingRow.project_id == project_id, FindingRow.kind == kind]
        own, left = _result_conditions(kind, filter_)
        conditions = [*own, *_label_conditions(filter_, project_id, image, kind)]
    elif filter_.has_duplicates:
        image, within = DuplicateGroupRow.image_id, [DuplicateGroupRow.project_id == project_id]
        conditions = _label_conditions(filter_, project_id, image)
    else:
        image, within = (
            LabelRow.image_id,
            [LabelRow.project_id == project_id, *filter_.label_conditions(LabelRow)],
        )
    return Segment(
        image=image,
        keys=[image],
        types=[_parse_key],
        order=[image.desc() if newest else image.asc()],
        after=lambda key: image < key[0] if newest else image > key[0],
        within=within,
        conditions=[*conditions, *left.conditions(project_id, image)],
        lookup_cost=2 * len(conditions) + left.lookup_cost,
        grouped=filter_.has_clash,
    )


def _by_result(kind: str, filter_: Filter, project_id: int) -> Segment:
    score, image = FindingRow.score, FindingRow.image_id
    own, left = _result_conditions(kind, filter_)
    conditions = _label_conditions(filter_, project_id, image, kind)
    return Segment(
        image=image,
        keys=[score, image],
        types=[float, _parse_key],
        order=[score.desc(), image.desc()],
        after=lambda key: tuple_(score, image) < tuple_(*key),
        # There is an index by class and score, too.
        within=[FindingRow.project_id == project_id, FindingRow.kind == kind, *own],
        conditions=[*conditions, *left.conditions(project_id, image)],
        # Neighbours in this index have unrelated ids, so that each look-up reads another page.
        lookup_cost=2 * (2 * len(conditions) + left.lookup_cost),
    )


def _by_group(filter_: Filter, project_id: int) -> Segment:
    group, image = DuplicateGroupRow.group_id, DuplicateGroupRow.image_id
    conditions = _label_conditions(filter_, project_id, image)
    return Segment(
        image=image,
        keys=[group, image],
        types=[_parse_key, _parse_key],
        order=[group.desc(), image.asc()],
        # The first condition is for the index.
        after=lambda key: (group <= key[0]) & ((group < key[0]) | (image > key[1])),
        within=[DuplicateGroupRow.project_id == project_id],
        conditions=[*conditions, *filter_.conditions(project_id, image)],
        lookup_cost=2 * len(conditions) + filter_.lookup_cost,
    )


def _result_conditions(kind: str, filter_: Filter) -> tuple[list[ColumnElement[bool]], Filter]:
    """Return the conditions on the result that a segment goes by, and the rest of the filter."""
    own: list[ColumnElement[bool]] = []
    least = min_score(kind)
    if filter_.result_kind == kind:
        own += [] if least is None else [FindingRow.score >= least]
        filter_ = replace(filter_, result_kind=None)
    if kind == "suggestion" and filter_.suggested_class_id is not None:
        own.append(FindingRow.class_id == filter_.suggested_class_id)
        filter_ = replace(filter_, suggested_class_id=None)
    return own, filter_


def _label_conditions(
    filter_: Filter, project_id: int, image: QueryableAttribute[int], kind: str | None = None
) -> list[ColumnElement[bool]]:
    """Return the conditions on a candidate's label: those of the filter, and that its result is open."""
    label = aliased(LabelRow)
    wanted = filter_.label_conditions(label)
    if kind is not None:
        wanted = [*wanted, *open_conditions(kind, FindingRow, label)]
    if not wanted:
        return []
    return [exists().where(label.project_id == project_id, label.image_id == image, *wanted)]


def _window_size(limit: float, lookup_cost: int) -> int:
    return max(
        min(_MIN_CANDIDATES, math.ceil(limit)),
        math.ceil(limit * _FREE_LOOKUPS / (_FREE_LOOKUPS + lookup_cost)),
    )


def _parse_cursor(
    after: str | None, segments: Sequence[Segment | _SimilarSegment]
) -> tuple[int, CursorKey | None]:
    """Return the segment's number and the key in it of a cursor."""
    if after is None:
        return 0, None
    number, *values = after.split(":")
    try:
        at = parse_int(number, "after", len(segments) - 1)
        return at, tuple(parse(value) for parse, value in zip(segments[at].types, values, strict=True))
    except (ValueError, InvalidRequest) as error:
        raise InvalidRequest(
            _("expected a cursor of this list as after; got {after!r}. Reload the page.").format(
                after=after[:60]
            )
        ) from error


def _format_cursor(number: int, segment: Segment, row: Sequence[Any]) -> str:
    return ":".join((str(number), *map(repr, row[: len(segment.keys)])))


def _query_window(
    session: Session, project_id: int, segment: Segment, filter_: Filter, key: CursorKey | None, limit: int
) -> Sequence[Any]:
    """Return each candidate's key, whether it passes, and what decides its split if the filter has one."""
    passes = case((and_(*segment.conditions), 1), else_=0) if segment.conditions else literal_column("1")
    split_parts = [] if filter_.split is None else split_columns(project_id, segment.image)
    statement = select(*segment.keys, passes, *split_parts)
    statement = statement.where(*segment.within).order_by(*segment.order).limit(limit)
    if key is not None:
        statement = statement.where(segment.after(key))
    if segment.grouped:
        statement = statement.group_by(*segment.keys)
    return session.connection().execute(statement).all()


def _passing_ids(rows: Iterable[Any], filter_: Filter) -> list[int]:
    if filter_.split is None:
        return [row[-2] for row in rows if row[-1]]
    return [
        image
        for *_key, image, passes, given, digest in rows
        if passes and image_split(given, digest) == filter_.split
    ]


def _cached_vectors(folder: Path) -> AnalysisVectors | None:
    identity = _file_identity(folder)
    if identity is None:
        return None
    with _cache_lock:
        known = _vector_cache.get(folder)
        if known is None or known[0] != identity:
            found = read_vectors(folder)
            if found is None:
                return None
            # If the files were replaced meanwhile, they are read again the next time.
            known = _vector_cache[folder] = (identity, found)
        _vector_cache.move_to_end(folder)
        while len(_vector_cache) > _MAX_CACHED:
            _vector_cache.popitem(last=False)
        return known[1]


def _file_identity(folder: Path) -> _FileIdentity | None:
    try:
        stats = [(folder / name).stat() for name in (IDS_FILE, VECTORS_FILE)]
    except OSError:
        return None
    return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)


def _analysed_ids(folder: Path) -> set[int]:
    """Return the ids of the analysed images; none where there was no analysis."""
    try:
        ids: list[int] = np.load(folder / IDS_FILE).tolist()
    except FileNotFoundError:
        return set()
    return set(ids)
