"""Which pictures of a project are meant: read from a request, and told to the database."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import cast, get_args

from sqlalchemy import ColumnElement, exists
from sqlalchemy.orm import QueryableAttribute, aliased

from db.curate_models import LabelClash
from db.models import CopyGroup, Label, Provenance
from studio.collect.papers import has_licence
from studio.curate.asking import NotUnderstood, day, whole
from studio.curate.grid import State
from studio.curate.open_findings import KINDS, ODD, has_open, least_score
from studio.curate.split import SPLITS, Split
from studio.curate.words import contains, forms_of
from studio.language import _

_LONGEST_TEXT = 200
_MOST_WORDS = 10


@dataclass(frozen=True)
class Filter:
    """What pictures must be; None, false and empty ask for nothing.

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
    """Each must stand somewhere in where a picture was found, its title, creator or licence."""
    clash: bool = False
    """Those about which two people decided differently."""

    def resolved(self) -> "Filter":
        """Return the same with what it implies: only labelled pictures have a class, only unlabelled …"""
        if self.state is None and self.class_id is not None:
            return replace(self, state="labelled")
        if self.state is None and self.suggested is not None:
            return replace(self, state="unlabelled")
        return self

    @property
    def is_empty(self) -> bool:
        """Whether nothing can pass it: no rejected picture has a class."""
        return self.class_id is not None and self.state not in {None, "labelled"}

    @property
    def looks(self) -> int:
        """How much is looked up for each picture, where one row by its key counts as two."""
        rows = (self.suggested, self.found, self.source, self.licence, self.since or self.until)
        return (
            2 * sum(each is not None for each in rows)
            + 2 * self.clash
            + 4 * self.copies
            + 6 * (self.split is not None)
            + 5 * sum(len(forms_of(word)) for word in self.words)
        )

    def label_conditions(self, label: type[Label]) -> list[ColumnElement[bool]]:
        """Return what a picture's label must be."""
        conditions: list[ColumnElement[bool]] = []
        if self.state is not None:
            conditions.append(label.state == self.state)
        elif self.copies or self.found in ODD:
            conditions.append(label.state != "rejected")
        if self.class_id is not None:
            conditions.append(label.class_id == self.class_id)
        return conditions

    def conditions(self, project_id: int, image: QueryableAttribute[int]) -> list[ColumnElement[bool]]:
        """Return what must hold of a picture, its label and its split aside. image: the id's column."""
        conditions: list[ColumnElement[bool]] = []
        if self.suggested is not None:
            conditions.append(has_open("suggestion", project_id, image, class_id=self.suggested))
        if self.found is not None:
            conditions.append(has_open(self.found, project_id, image, least=least_score(self.found)))
        if self.source is not None:
            conditions.append(_place(project_id, image, Provenance.kind == self.source))
        if self.licence in {"known", "unknown"}:
            known = has_licence(project_id, image)
            conditions.append(known if self.licence == "known" else ~known)
        elif self.licence is not None:
            conditions.append(_place(project_id, image, Provenance.licence == self.licence))
        if self.since is not None or self.until is not None:
            conditions.append(_place(project_id, image, *self._days()))
        if self.copies:
            conditions.append(_has_copy(project_id, image))
        if self.clash:
            clash = aliased(LabelClash)
            conditions.append(exists().where(clash.project_id == project_id, clash.image_id == image))
        # Last, since they take longest.
        return [*conditions, *(contains(word, project_id, image) for word in self.words)]

    def _days(self) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if self.since is not None:
            conditions.append(Provenance.found_at >= _midnight(self.since))
        if self.until is not None:
            conditions.append(Provenance.found_at < _midnight(self.until + timedelta(days=1)))
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
    return exists().where(Provenance.project_id == project_id, Provenance.image_id == image, *wanted)


def _has_copy(project_id: int, image: QueryableAttribute[int]) -> ColumnElement[bool]:
    mine, other, label = aliased(CopyGroup), aliased(CopyGroup), aliased(Label)
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
