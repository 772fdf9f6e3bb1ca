"""What the studio finds about images, as rows: written whole by one study, read as filters and orders."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, delete, exists, insert, select
from sqlalchemy.orm import QueryableAttribute, Session, aliased

from db.labelling import hold
from db.models import AnalysisRow, FindingRow, LabelRow
from studio.arrays import Int64Array

Kind = Literal[
    "suggestion",
    "next",
    "uncertain",
    "doubtful",
    "confirmed",
    "spread",
    "blurred",
    "dark",
    "blank",
    "small",
    "shape",
    "far",
]
SURVEYED: tuple[Kind, ...] = ("spread", "blurred", "dark", "blank", "small", "shape", "far")
"""Found by looking at the images."""
REVIEWED: tuple[Kind, ...] = ("suggestion", "next", "uncertain", "doubtful", "confirmed")
"""Found by looking at the labels."""
StudyKind = Literal["survey", "review"]
_ROWS = 20_000


class Found(NamedTuple):
    """The findings of one kind, each image once. images: int64, (N,); scores: (N,), 0 to 1.

    classes: int64, (N,), the class's id that each suggests; None where the kind suggests none.
    """

    images: Int64Array
    scores: npt.NDArray[np.floating[Any]]
    classes: Int64Array | None = None

    @property
    def named(self) -> Int64Array:
        """The classes, with 0 for none: int64, (N,)."""
        return np.zeros(len(self.images), np.int64) if self.classes is None else self.classes


@dataclass(frozen=True)
class LastStudy:
    """The last time that the studio looked. operation_number: how far the project's history went then."""

    operation_number: int
    facts: Mapping[str, Any]
    at: datetime


def last_study(session: Session, project_id: int, kind: StudyKind) -> LastStudy | None:
    """Return the project's last study of a kind."""
    row = session.get(AnalysisRow, (project_id, kind))
    return None if row is None else LastStudy(row.operation_number, row.facts, row.at)


def write_study(
    session: Session,
    project_id: int,
    kind: StudyKind,
    found: Mapping[Kind, Found],
    *,
    operation_number: int,
    facts: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Make the project's findings those of `found`, for each kind in it, and remember the study.

    operation_number: how far the history went when the study looked; facts: plain values for JSON. Findings
    of other kinds are left as they are. False, with nothing written, where the project is gone.
    """
    if not hold(session, project_id):
        return False
    _remove(session, project_id, found)
    for each, findings in found.items():
        for start in range(0, len(findings.images), _ROWS):
            rows = _rows(project_id, each, findings, operation_number, start)
            # Past the ORM, which takes ten times as long for a hundred thousand.
            session.connection().execute(insert(FindingRow), rows)
    session.merge(
        AnalysisRow(
            project_id=project_id, kind=kind, operation_number=operation_number, facts=dict(facts), at=now
        )
    )
    return True


def found_of(session: Session, project_id: int, kind: Kind) -> Found:
    """Return the findings of a kind in the order of the images' ids; a class of 0 is none."""
    wanted = (
        select(FindingRow.image_id, FindingRow.score, FindingRow.class_id)
        .where(FindingRow.project_id == project_id, FindingRow.kind == kind)
        .order_by(FindingRow.image_id)
    )
    rows = session.connection().execute(wanted).all()
    return Found(
        np.array([row.image_id for row in rows], np.int64),
        np.array([row.score for row in rows], np.float64),
        np.array([row.class_id or 0 for row in rows], np.int64),
    )


def _remove(session: Session, project_id: int, kinds: Collection[Kind]) -> None:
    session.execute(
        delete(FindingRow)
        .where(FindingRow.project_id == project_id, FindingRow.kind.in_(sorted(kinds)))
        .execution_options(synchronize_session=False)
    )


def _rows(project_id: int, kind: Kind, found: Found, number: int, start: int) -> list[dict[str, Any]]:
    part = slice(start, start + _ROWS)
    images: list[int] = found.images[part].tolist()
    scores: list[float] = np.clip(found.scores[part], 0, 1).tolist()
    classes: list[Any] = [None] * len(images) if found.classes is None else found.classes[part].tolist()
    return [
        {
            "project_id": project_id,
            "kind": kind,
            "image_id": image,
            "score": score,
            "class_id": class_id,
            "operation_number": number,
        }
        for image, score, class_id in zip(images, scores, classes, strict=True)
    ]


WAITING = ("suggestion", "next", "uncertain")
"""About images without a label: open while they have none, so that an undone label shows them again."""
ODD = ("blurred", "dark", "blank", "small", "shape", "far")
"""About images themselves; whoever rejects one has answered."""
KINDS: tuple[Kind, ...] = get_args(Kind)
DOUBTFUL_FROM = 0.5
"""Scores of doubt are scaled so that as many reach this as labels are likely wrong."""


def is_open(kind: str, finding: type[FindingRow], label: type[LabelRow]) -> list[ColumnElement[bool]]:
    """Return the conditions that a finding is open, given its image's label."""
    if kind in WAITING:
        return [label.state == "unlabelled"]
    if kind == "doubtful":
        return [label.state == "labelled", label.operation_number <= finding.operation_number]
    return []


def has_open(
    kind: str,
    project_id: int,
    image: QueryableAttribute[int],
    *,
    class_id: int | None = None,
    least: float | None = None,
) -> ColumnElement[bool]:
    """Return the condition that an image has an open finding of a kind.

    class_id: that names this class; least: of this score at least.
    """
    finding, label = aliased(FindingRow), aliased(LabelRow)
    wanted = [finding.project_id == project_id, finding.kind == kind, finding.image_id == image]
    if class_id is not None:
        wanted.append(finding.class_id == class_id)
    if least is not None:
        wanted.append(finding.score >= least)
    of_label = is_open(kind, finding, label)
    if of_label:
        wanted.append(
            exists()
            .where(label.project_id == project_id, label.image_id == finding.image_id, *of_label)
            .correlate(finding)
        )
    return exists().where(*wanted)


def least_score(kind: str) -> float | None:
    """Return the score from which on a finding counts as one; None where all do."""
    return DOUBTFUL_FROM if kind == "doubtful" else None
