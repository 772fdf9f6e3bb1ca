"""What pictures can be chosen by besides their labels: where they came from, and what the studio found."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from db.curate_models import Finding, LabelClash, Study
from db.labelling import newest_number
from db.models import CopyGroup, Label, Provenance
from studio.curate.open_findings import KINDS, ODD, WAITING, is_open, least_score

_QUICK_S = 0.02
_REST = 20
"""A count that takes long is made again only after so many times as long."""
_OLD_S = 10.0


@dataclass(frozen=True)
class Choices:
    """What pictures can be chosen by, besides their labels."""

    sources: tuple[str, ...]
    """Kinds of provenance."""
    licences: tuple[str, ...]
    """As they were named where pictures were found."""
    findings: Mapping[str, int]
    """How many findings of each kind are open, and as `copies` how many pictures have a near copy; those
    without one are not named."""
    studies: Mapping[str, dict[str, Any]]
    """What came of the last looks at the pictures (survey) and at the labels (review)."""
    clashes: int
    """How many pictures two people decided about differently."""


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
    pictures, is given out a little longer: counting takes a twentieth of the time at most.
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
    """Return what a project's pictures can be chosen by; of 100,000 this takes about a tenth of a second."""
    places = session.execute(
        select(Provenance.kind, Provenance.licence).where(Provenance.project_id == project_id).distinct()
    ).all()
    studied = session.execute(
        select(Study.kind, Study.facts, Study.operation_number, Study.at).where(
            Study.project_id == project_id
        )
    )
    clashing = select(func.count(LabelClash.image_id.distinct())).where(LabelClash.project_id == project_id)
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
    finding, label = Finding, Label
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
    """Count the pictures that are not rejected and have a near copy that is not."""
    sizes = (
        select(func.count().label("size"))
        .select_from(CopyGroup)
        .join(Label, (Label.project_id == CopyGroup.project_id) & (Label.image_id == CopyGroup.image_id))
        .where(CopyGroup.project_id == project_id, Label.state != "rejected")
        .group_by(CopyGroup.group_id)
        .having(func.count() > 1)
        .subquery()
    )
    return int(session.scalar(select(func.sum(sizes.c.size))) or 0)


def _stamp(session: Session, project_id: int) -> object:
    """Return what tells one state of a project from another."""
    studied = session.scalar(select(func.max(Study.at)).where(Study.project_id == project_id))
    return newest_number(session, project_id), session.scalar(select(func.max(Provenance.id))), studied
