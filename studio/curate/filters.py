"""Which images of a project are meant: read from a request, and told to the database."""

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

from db.labelling import newest_number
from db.models import AnalysisRow, DuplicateGroupRow, FindingRow, LabelClashRow, LabelRow, ProvenanceRow
from studio.curate.findings import KINDS, ODD, WAITING, has_open, is_open, least_score
from studio.curate.items import State
from studio.curate.params import NotUnderstood, day, whole
from studio.datasets.splits import SPLITS, Split
from studio.i18n import _
from studio.images.provenance import has_licence

_TEXTS = (
    ProvenanceRow.address,
    ProvenanceRow.page_address,
    ProvenanceRow.title,
    ProvenanceRow.creator,
    ProvenanceRow.licence,
)


def contains(word: str, project_id: int, image: QueryableAttribute[int]) -> ColumnElement[bool]:
    """Return the condition that a word stands in one of an image's texts, in capitals or not."""
    found = [text.ilike(f"%{_escaped(form)}%", escape="\\") for form in forms_of(word) for text in _TEXTS]
    return exists().where(
        ProvenanceRow.project_id == project_id, ProvenanceRow.image_id == image, or_(*found)
    )


def forms_of(word: str) -> list[str]:
    """Return the ways in which a word may be written.

    SQLite knows capitals of the English alphabet only; macOS takes letters apart (NFD); addresses on the web
    have letters as percent signs and numbers.
    """
    if word.isascii():
        return [word]
    word = unicodedata.normalize("NFC", word)
    forms = [word, word.lower(), word.upper(), word.title(), unicodedata.normalize("NFD", word), quote(word)]
    return list(dict.fromkeys(forms))


def _escaped(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    return text


_LONGEST_TEXT = 200
_MOST_WORDS = 10


@dataclass(frozen=True)
class Filter:
    """What images must be; None, false and empty ask for nothing.

    Who asks for odd ones or for copies and names no state does not mean the rejected: those are dealt with.
    """

    state: State | None = None
    class_id: int | None = None
    suggested: int | None = None
    """The class that is suggested for them."""
    source: str | None = None
    """The way in which they came: a kind of provenance."""
    licence: str | None = None
    """unknown, known (own work too), or a licence's name."""
    split: Split | None = None
    found: str | None = None
    """A kind of finding that is open."""
    copies: bool = False
    """Those with a near copy in the project that is not rejected."""
    since: date | None = None
    until: date | None = None
    """The days on which they came, by this machine's clock; both are meant too."""
    words: tuple[str, ...] = ()
    """Each must stand somewhere in where an image was found, its title, creator or licence."""
    clash: bool = False
    """Those about which two people decided differently."""

    def resolved(self) -> "Filter":
        """Return the same with what it implies: only labelled images have a class, only unlabelled …"""
        if self.state is None and self.class_id is not None:
            return replace(self, state="labelled")
        if self.state is None and self.suggested is not None:
            return replace(self, state="unlabelled")
        return self

    @property
    def is_empty(self) -> bool:
        """Whether nothing can pass it: no rejected image has a class."""
        return self.class_id is not None and self.state not in {None, "labelled"}

    @property
    def looks(self) -> int:
        """How much is looked up for each image, where one row by its key counts as two."""
        rows = (self.suggested, self.found, self.source, self.licence, self.since or self.until)
        return (
            2 * sum(each is not None for each in rows)
            + 2 * self.clash
            + 4 * self.copies
            + 6 * (self.split is not None)
            + 5 * sum(len(forms_of(word)) for word in self.words)
        )

    def label_conditions(self, label: type[LabelRow]) -> list[ColumnElement[bool]]:
        """Return what an image's label must be."""
        conditions: list[ColumnElement[bool]] = []
        if self.state is not None:
            conditions.append(label.state == self.state)
        elif self.copies or self.found in ODD:
            conditions.append(label.state != "rejected")
        if self.class_id is not None:
            conditions.append(label.class_id == self.class_id)
        return conditions

    def conditions(self, project_id: int, image: QueryableAttribute[int]) -> list[ColumnElement[bool]]:
        """Return what must hold of an image, its label and its split aside. image: the id's column."""
        conditions: list[ColumnElement[bool]] = []
        if self.suggested is not None:
            conditions.append(has_open("suggestion", project_id, image, class_id=self.suggested))
        if self.found is not None:
            conditions.append(has_open(self.found, project_id, image, least=least_score(self.found)))
        if self.source is not None:
            conditions.append(_place(project_id, image, ProvenanceRow.kind == self.source))
        if self.licence in {"known", "unknown"}:
            known = has_licence(project_id, image)
            conditions.append(known if self.licence == "known" else ~known)
        elif self.licence is not None:
            conditions.append(_place(project_id, image, ProvenanceRow.licence == self.licence))
        if self.since is not None or self.until is not None:
            conditions.append(_place(project_id, image, *self._days()))
        if self.copies:
            conditions.append(_has_copy(project_id, image))
        if self.clash:
            clash = aliased(LabelClashRow)
            conditions.append(exists().where(clash.project_id == project_id, clash.image_id == image))
        # Last, since they take longest.
        return [*conditions, *(contains(word, project_id, image) for word in self.words)]

    def _days(self) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if self.since is not None:
            conditions.append(ProvenanceRow.found_at >= _midnight(self.since))
        if self.until is not None:
            conditions.append(ProvenanceRow.found_at < _midnight(self.until + timedelta(days=1)))
        return conditions


def parse(asked: Mapping[str, str]) -> Filter:
    """Return the filter that a request's parameters ask for; an empty one asks for nothing.

    Raises NotUnderstood, naming the parameter and what was expected.
    """
    # What no database takes as text cannot be in it.
    given = {name: value.replace("\0", "\N{REPLACEMENT CHARACTER}") for name, value in asked.items() if value}
    words = given.get("text", "").split()
    if len(given.get("text", "")) > _LONGEST_TEXT or len(words) > _MOST_WORDS:
        raise NotUnderstood(
            _("expected at most {words} words and {letters} letters to look for; more came.").format(
                words=_MOST_WORDS, letters=_LONGEST_TEXT
            )
        )
    return Filter(
        state=cast(State | None, _choice(given, "state", get_args(State))),
        class_id=_id(given, "class"),
        suggested=_id(given, "suggested"),
        source=given.get("source"),
        licence=given.get("licence"),
        split=cast(Split | None, _choice(given, "split", SPLITS)),
        found=_choice(given, "found", KINDS),
        copies=_choice(given, "copies", ("1",)) is not None,
        since=day(given["from"], "from") if "from" in given else None,
        until=day(given["to"], "to") if "to" in given else None,
        words=tuple(words),
        clash=_choice(given, "clash", ("1",)) is not None,
    ).resolved()


def _choice(given: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    value = given.get(name)
    if value is not None and value not in choices:
        raise NotUnderstood(
            _("expected one of {choices} as {name}; {value!r} came.").format(
                choices=", ".join(choices), name=name, value=value[:40]
            )
        )
    return value


def _id(given: Mapping[str, str], name: str) -> int | None:
    return whole(given[name], name) if name in given else None


def _place(
    project_id: int, image: QueryableAttribute[int], *wanted: ColumnElement[bool]
) -> ColumnElement[bool]:
    return exists().where(ProvenanceRow.project_id == project_id, ProvenanceRow.image_id == image, *wanted)


def _has_copy(project_id: int, image: QueryableAttribute[int]) -> ColumnElement[bool]:
    mine, other, label = aliased(DuplicateGroupRow), aliased(DuplicateGroupRow), aliased(LabelRow)
    return exists().where(
        mine.project_id == project_id,
        mine.image_id == image,
        other.project_id == project_id,
        other.group_id == mine.group_id,
        other.image_id != mine.image_id,
        label.project_id == project_id,
        label.image_id == other.image_id,
        label.state != "rejected",
    )


def _midnight(at: date) -> datetime:
    return datetime.combine(at, time.min).astimezone()


_QUICK_S = 0.02
_REST = 20
"""A count that takes long is made again only after so many times as long."""
_OLD_S = 10.0


@dataclass(frozen=True)
class Choices:
    """What images can be chosen by, besides their labels."""

    sources: tuple[str, ...]
    """Kinds of provenance."""
    licences: tuple[str, ...]
    """As they were named where images were found."""
    findings: Mapping[str, int]
    """How many findings of each kind are open, and as `copies` how many images have a near copy; those
    without one are not named."""
    studies: Mapping[str, dict[str, Any]]
    """What came of the last looks at the images (survey) and at the labels (review)."""
    clashes: int
    """How many images two people decided about differently."""


@dataclass
class _Kept:
    """The last count of a project, of what it was, and until when it will do."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    choices: Choices | None = None
    stamp: object = None
    rests_until: float = 0
    old_from: float = 0


class KeptChoices:
    """The choices of projects, counted anew where something has changed.

    Every open grid asks each time that somebody has labelled something. So a count that takes long, of many
    images, is given out a little longer: counting takes a twentieth of the time at most.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """clock: seconds that only ever grow."""
        self._clock = clock
        self._guard = threading.Lock()
        self._kept: dict[int, _Kept] = {}

    def of(self, session: Session, project_id: int) -> Choices:
        """Return the choices of a project, perhaps those of a moment ago."""
        with self._guard:
            kept = self._kept.setdefault(project_id, _Kept())
        with kept.lock:
            begun = self._clock()
            if kept.choices is not None and begun < kept.rests_until:
                return kept.choices
            stamp = _stamp(session, project_id)
            if kept.choices is None or stamp != kept.stamp or begun >= kept.old_from:
                kept.choices, kept.stamp = choices(session, project_id), stamp
                ended = self._clock()
                took = ended - begun
                kept.rests_until = ended + _REST * took if took > _QUICK_S else 0
                kept.old_from = ended + _OLD_S
            return kept.choices


def choices(session: Session, project_id: int) -> Choices:
    """Return what a project's images can be chosen by; of 100,000 this takes about a tenth of a second."""
    places = session.execute(
        select(ProvenanceRow.kind, ProvenanceRow.licence)
        .where(ProvenanceRow.project_id == project_id)
        .distinct()
    ).all()
    studied = session.execute(
        select(AnalysisRow.kind, AnalysisRow.facts, AnalysisRow.operation_number, AnalysisRow.at).where(
            AnalysisRow.project_id == project_id
        )
    )
    clashing = select(func.count(LabelClashRow.image_id.distinct())).where(
        LabelClashRow.project_id == project_id
    )
    return Choices(
        sources=tuple(sorted({kind for kind, _licence in places})),
        licences=tuple(sorted({licence for _kind, licence in places if licence})),
        findings={
            **{kind: count for kind in KINDS if (count := _open(session, project_id, kind))},
            **({"copies": copies} if (copies := _copies(session, project_id)) else {}),
        },
        studies={
            kind: {**facts, "number": number, "at": at.isoformat()} for kind, facts, number, at in studied
        },
        clashes=session.scalar(clashing) or 0,
    )


def _open(session: Session, project_id: int, kind: str) -> int:
    """Count the open findings of a kind."""
    finding, label = FindingRow, LabelRow
    wanted: list[ColumnElement[bool]] = [finding.project_id == project_id, finding.kind == kind]
    least = least_score(kind)
    if least is not None:
        wanted.append(finding.score >= least)
    of_label = is_open(kind, finding, label)
    if kind in ODD:
        of_label = [label.state != "rejected"]
    if kind in WAITING:
        # By the list of those that wait: looked up in the order of their ids, three times as fast.
        waiting = select(label.image_id).where(label.project_id == project_id, *of_label)
        wanted.append(finding.image_id.in_(waiting))
    elif of_label:
        wanted.append(
            select(label.image_id)
            .where(label.project_id == project_id, label.image_id == finding.image_id, *of_label)
            .exists()
        )
    return session.scalar(select(func.count()).select_from(finding).where(*wanted)) or 0


def _copies(session: Session, project_id: int) -> int:
    """Count the images that are not rejected and have a near copy that is not."""
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


def _stamp(session: Session, project_id: int) -> object:
    """Return what tells one state of a project from another."""
    studied = session.scalar(select(func.max(AnalysisRow.at)).where(AnalysisRow.project_id == project_id))
    return newest_number(session, project_id), session.scalar(select(func.max(ProvenanceRow.id))), studied
