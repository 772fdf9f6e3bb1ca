"""Filters of a project's images: parsing, SQL conditions, text search, and facets with counts."""

import threading
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from time import monotonic
from typing import Any, cast, get_args
from urllib.parse import quote

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import QueryableAttribute, Session, aliased

from db.labelling import LabelState, latest_operation_number
from db.models import AnalysisRow, DuplicateGroupRow, FindingRow, LabelClashRow, LabelRow, ProvenanceRow
from studio.curate.analysis_results import (
    IMAGE_ISSUE_KINDS,
    RESULT_KINDS,
    UNLABELLED_KINDS,
    has_open_result,
    min_score,
    open_conditions,
)
from studio.curate.params import InvalidRequest, parse_date, parse_int
from studio.datasets.splits import SPLITS, Split
from studio.i18n import _
from studio.images.provenance import has_licence

_MAX_TEXT_LENGTH = 200
_MAX_WORDS = 10
_SEARCHED_COLUMNS = (
    ProvenanceRow.address,
    ProvenanceRow.page_address,
    ProvenanceRow.title,
    ProvenanceRow.creator,
    ProvenanceRow.licence,
)
_FAST_COUNT_S = 0.02
_REST_FACTOR = 20
"""Facets that take long to count are counted again only after so many times as long."""
_MAX_AGE_S = 10.0


@dataclass(frozen=True)
class Filter:
    """Conditions on images; None, False and empty: no condition.

    Rejected images are left out where image issues or duplicates are asked for without a state.
    """

    state: LabelState | None = None
    class_id: int | None = None
    suggested_class_id: int | None = None
    """A class that is suggested for them."""
    source: str | None = None
    """A kind of provenance."""
    licence: str | None = None
    """unknown, known (own work included), or a licence's name."""
    split: Split | None = None
    result_kind: str | None = None
    """A kind of which they have an open analysis result: one of `RESULT_KINDS`."""
    has_duplicates: bool = False
    """Those with a near-duplicate in the project that is not rejected."""
    since: date | None = None
    until: date | None = None
    """The first and the last day on which they were added, in this machine's time zone, inclusive."""
    search_words: tuple[str, ...] = ()
    """Each is in an image's address, page address, title, creator or licence."""
    has_clash: bool = False
    """Those that two people labelled differently."""

    def resolved(self) -> "Filter":
        """Return the filter with the state that it implies: only labelled images have a class, and so on."""
        if self.state is None and self.class_id is not None:
            return replace(self, state="labelled")
        if self.state is None and self.suggested_class_id is not None:
            return replace(self, state="unlabelled")
        return self

    @property
    def is_empty(self) -> bool:
        """Return whether no image can pass: only labelled images have a class."""
        return self.class_id is not None and self.state not in {None, "labelled"}

    @property
    def lookup_cost(self) -> int:
        """The cost of the look-ups for each image, where one row by its key counts as two."""
        rows = (
            self.suggested_class_id,
            self.result_kind,
            self.source,
            self.licence,
            self.since or self.until,
        )
        return (
            2 * sum(each is not None for each in rows)
            + 2 * self.has_clash
            + 4 * self.has_duplicates
            + 6 * (self.split is not None)
            + 5 * sum(len(spellings(word)) for word in self.search_words)
        )

    def label_conditions(self, label: type[LabelRow]) -> list[ColumnElement[bool]]:
        """Return the conditions on an image's label."""
        conditions: list[ColumnElement[bool]] = []
        if self.state is not None:
            conditions.append(label.state == self.state)
        elif self.has_duplicates or self.result_kind in IMAGE_ISSUE_KINDS:
            conditions.append(label.state != "rejected")
        if self.class_id is not None:
            conditions.append(label.class_id == self.class_id)
        return conditions

    def conditions(self, project_id: int, image: QueryableAttribute[int]) -> list[ColumnElement[bool]]:
        """Return the conditions on an image other than its label and its split. image: the id's column."""
        conditions: list[ColumnElement[bool]] = []
        if self.suggested_class_id is not None:
            conditions.append(
                has_open_result("suggestion", project_id, image, class_id=self.suggested_class_id)
            )
        if self.result_kind is not None:
            least = min_score(self.result_kind)
            conditions.append(has_open_result(self.result_kind, project_id, image, least=least))
        if self.source is not None:
            conditions.append(_has_provenance(project_id, image, ProvenanceRow.kind == self.source))
        if self.licence in {"known", "unknown"}:
            known = has_licence(project_id, image)
            conditions.append(known if self.licence == "known" else ~known)
        elif self.licence is not None:
            conditions.append(_has_provenance(project_id, image, ProvenanceRow.licence == self.licence))
        if self.since is not None or self.until is not None:
            conditions.append(_has_provenance(project_id, image, *self._date_conditions()))
        if self.has_duplicates:
            conditions.append(_has_duplicate(project_id, image))
        if self.has_clash:
            clash = aliased(LabelClashRow)
            conditions.append(exists().where(clash.project_id == project_id, clash.image_id == image))
        # Last, since text search is slowest.
        return [*conditions, *(contains_word(word, project_id, image) for word in self.search_words)]

    def _date_conditions(self) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if self.since is not None:
            conditions.append(ProvenanceRow.found_at >= _midnight(self.since))
        if self.until is not None:
            conditions.append(ProvenanceRow.found_at < _midnight(self.until + timedelta(days=1)))
        return conditions


def parse_filter(params: Mapping[str, str]) -> Filter:
    """Return the filter of a request's parameters; an empty value is no condition.

    Raises InvalidRequest, naming the parameter and what was expected.
    """
    # Databases take no NUL in a text.
    given = {
        name: value.replace("\0", "\N{REPLACEMENT CHARACTER}") for name, value in params.items() if value
    }
    words = given.get("text", "").split()
    if len(given.get("text", "")) > _MAX_TEXT_LENGTH or len(words) > _MAX_WORDS:
        raise InvalidRequest(
            _("expected at most {words} words and {characters} characters to search for; got more.").format(
                words=_MAX_WORDS, characters=_MAX_TEXT_LENGTH
            )
        )
    return Filter(
        state=cast(LabelState | None, _parse_choice(given, "state", get_args(LabelState))),
        class_id=_parse_id(given, "class"),
        suggested_class_id=_parse_id(given, "suggested"),
        source=given.get("source"),
        licence=given.get("licence"),
        split=cast(Split | None, _parse_choice(given, "split", SPLITS)),
        result_kind=_parse_choice(given, "found", tuple(RESULT_KINDS)),
        has_duplicates=_parse_choice(given, "copies", ("1",)) is not None,
        since=parse_date(given["from"], "from") if "from" in given else None,
        until=parse_date(given["to"], "to") if "to" in given else None,
        search_words=tuple(words),
        has_clash=_parse_choice(given, "clash", ("1",)) is not None,
    ).resolved()


def invalid_choice(name: str, choices: tuple[str, ...], value: str) -> InvalidRequest:
    """Return the error for a parameter that is none of its choices."""
    return InvalidRequest(
        _("expected one of {choices} as {name}; got {value!r}.").format(
            choices=", ".join(choices), name=name, value=value[:40]
        )
    )


def contains_word(word: str, project_id: int, image: QueryableAttribute[int]) -> ColumnElement[bool]:
    """Return the condition that a word is in one of an image's searched columns, in any case."""
    matches = [
        column.ilike(f"%{_escaped(spelling)}%", escape="\\")
        for spelling in spellings(word)
        for column in _SEARCHED_COLUMNS
    ]
    return exists().where(
        ProvenanceRow.project_id == project_id, ProvenanceRow.image_id == image, or_(*matches)
    )


def spellings(word: str) -> list[str]:
    """Return the forms in which a word may be stored.

    SQLite ignores case in ASCII only; macOS decomposes letters (NFD); URLs have percent-encoded letters.
    """
    if word.isascii():
        return [word]
    word = unicodedata.normalize("NFC", word)
    forms = [word, word.lower(), word.upper(), word.title(), unicodedata.normalize("NFD", word), quote(word)]
    return list(dict.fromkeys(forms))


@dataclass(frozen=True)
class FilterFacets:
    """The values that a project's images can be filtered by, besides their labels."""

    sources: tuple[str, ...]
    """Kinds of provenance."""
    licences: tuple[str, ...]
    """As they are named where images were found."""
    result_counts: Mapping[str, int]
    """The number of open results by kind and, as `copies`, of images with a near-duplicate; without zeros."""
    analyses: Mapping[str, dict[str, Any]]
    """The facts of the last analyses by kind: survey (images), review (labels)."""
    clashes: int
    """The number of images that two people labelled differently."""


@dataclass
class _CachedFacets:
    """The facets of a project, the data version they were counted for, and how long they are valid."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    facets: FilterFacets | None = None
    version: object = None
    rest_until: float = 0
    stale_from: float = 0


class FacetCache:
    """A cache of facets by project, counted again where the data has changed.

    Every open grid asks after each label. Counting many images takes long; then a count is kept for 20 times
    as long as it took, so that at most a twentieth of the time goes into counting.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """clock: returns seconds and never goes back."""
        self._clock = clock
        self._lock = threading.Lock()
        self._projects: dict[int, _CachedFacets] = {}

    def get(self, session: Session, project_id: int) -> FilterFacets:
        """Return the facets of a project, perhaps those of a moment ago."""
        with self._lock:
            cached = self._projects.setdefault(project_id, _CachedFacets())
        with cached.lock:
            begun = self._clock()
            if cached.facets is not None and begun < cached.rest_until:
                return cached.facets
            version = _data_version(session, project_id)
            if cached.facets is None or version != cached.version or begun >= cached.stale_from:
                cached.facets, cached.version = count_facets(session, project_id), version
                ended = self._clock()
                took = ended - begun
                cached.rest_until = ended + _REST_FACTOR * took if took > _FAST_COUNT_S else 0
                cached.stale_from = ended + _MAX_AGE_S
            return cached.facets


def count_facets(session: Session, project_id: int) -> FilterFacets:
    """Return the facets of a project; 100,000 images take about 0.1 s."""
    places = session.execute(
        select(ProvenanceRow.kind, ProvenanceRow.licence)
        .where(ProvenanceRow.project_id == project_id)
        .distinct()
    ).all()
    analyses = session.execute(
        select(AnalysisRow.kind, AnalysisRow.facts, AnalysisRow.operation_number, AnalysisRow.at).where(
            AnalysisRow.project_id == project_id
        )
    )
    clashes = select(func.count(LabelClashRow.image_id.distinct())).where(
        LabelClashRow.project_id == project_id
    )
    return FilterFacets(
        sources=tuple(sorted({kind for kind, _licence in places})),
        licences=tuple(sorted({licence for _kind, licence in places if licence})),
        result_counts={
            **{
                kind: count
                for kind in RESULT_KINDS
                if (count := _count_open_results(session, project_id, kind))
            },
            **({"copies": copies} if (copies := _count_duplicates(session, project_id)) else {}),
        },
        analyses={
            kind: {**facts, "number": number, "at": at.isoformat()} for kind, facts, number, at in analyses
        },
        clashes=session.scalar(clashes) or 0,
    )


def _parse_choice(given: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    value = given.get(name)
    if value is not None and value not in choices:
        raise invalid_choice(name, choices, value)
    return value


def _parse_id(given: Mapping[str, str], name: str) -> int | None:
    return parse_int(given[name], name) if name in given else None


def _has_provenance(
    project_id: int, image: QueryableAttribute[int], *conditions: ColumnElement[bool]
) -> ColumnElement[bool]:
    return exists().where(
        ProvenanceRow.project_id == project_id, ProvenanceRow.image_id == image, *conditions
    )


def _has_duplicate(project_id: int, image: QueryableAttribute[int]) -> ColumnElement[bool]:
    own, other, label = aliased(DuplicateGroupRow), aliased(DuplicateGroupRow), aliased(LabelRow)
    return exists().where(
        own.project_id == project_id,
        own.image_id == image,
        other.project_id == project_id,
        other.group_id == own.group_id,
        other.image_id != own.image_id,
        label.project_id == project_id,
        label.image_id == other.image_id,
        label.state != "rejected",
    )


def _midnight(at: date) -> datetime:
    return datetime.combine(at, time.min).astimezone()


def _escaped(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    return text


def _count_open_results(session: Session, project_id: int, kind: str) -> int:
    result, label = FindingRow, LabelRow
    wanted: list[ColumnElement[bool]] = [result.project_id == project_id, result.kind == kind]
    least = min_score(kind)
    if least is not None:
        wanted.append(result.score >= least)
    of_label = open_conditions(kind, result, label)
    if kind in IMAGE_ISSUE_KINDS:
        of_label = [label.state != "rejected"]
    if kind in UNLABELLED_KINDS:
        # By the list of unlabelled images: looked up in the order of their ids, three times as fast.
        unlabelled = select(label.image_id).where(label.project_id == project_id, *of_label)
        wanted.append(result.image_id.in_(unlabelled))
    elif of_label:
        wanted.append(
            select(label.image_id)
            .where(label.project_id == project_id, label.image_id == result.image_id, *of_label)
            .exists()
        )
    return session.scalar(select(func.count()).select_from(result).where(*wanted)) or 0


def _count_duplicates(session: Session, project_id: int) -> int:
    """Count the images that are not rejected and have a near-duplicate that is not."""
    sizes = (
        select(func.count().label("size"))
        .select_from(DuplicateGroupRow)
        .join(
            LabelRow,
            (LabelRow.project_id == DuplicateGroupRow.project_id)
            & (LabelRow.image_id == DuplicateGroupRow.image_id),
        )
        .where(DuplicateGroupRow.project_id == project_id, LabelRow.state != "rejected")
        .group_by(DuplicateGroupRow.group_id)
        .having(func.count() > 1)
        .subquery()
    )
    return int(session.scalar(select(func.sum(sizes.c.size))) or 0)


def _data_version(session: Session, project_id: int) -> object:
    """Return a value that changes with the data that facets are counted from."""
    analysed = session.scalar(select(func.max(AnalysisRow.at)).where(AnalysisRow.project_id == project_id))
    return (
        latest_operation_number(session, project_id),
        session.scalar(select(func.max(ProvenanceRow.id))),
        analysed,
    )
