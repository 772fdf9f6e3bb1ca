"""Analysis results: scores of images by kind. An analysis writes them; filters and sort orders read them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, delete, exists, insert, select
from sqlalchemy.orm import QueryableAttribute, Session, aliased

from db.engine import Database
from db.labelling import lock_project
from db.models import AnalysisRow, FindingRow, LabelRow
from studio.arrays import Int64Array
from studio.curate.image_issues import IMAGE_ISSUES
from studio.progress import Progress

AnalysisKind = Literal["survey", "review"]
"""As stored in `AnalysisRow.kind` and `JobRow.kind`."""
IMAGE_ANALYSIS: AnalysisKind = "survey"
LABEL_ANALYSIS: AnalysisKind = "review"
LABEL_ISSUE = "doubtful"
"""The result kind of label issues, as stored."""
LABEL_ISSUE_THRESHOLD = 0.5
"""Scores of label issues are scaled so that as many labels reach this as are likely wrong."""
_ROWS_PER_INSERT = 20_000


@dataclass(frozen=True)
class ResultKind:
    """A kind of results."""

    name: str
    """As stored in `FindingRow.kind`."""
    analysis: AnalysisKind
    """The analysis that writes it."""
    subject: Literal["unlabelled", "label", "image", "other"]
    """When a result is open. unlabelled: while the image has no label (an undone label opens it again);
    label: until the image is labelled anew; image: until it is rejected; other: always."""
    min_score: float | None = None
    """The least score that counts; None: any."""


RESULT_KINDS = {
    kind.name: kind
    for kind in (
        ResultKind("suggestion", LABEL_ANALYSIS, "unlabelled"),
        ResultKind("next", LABEL_ANALYSIS, "unlabelled"),
        ResultKind("uncertain", LABEL_ANALYSIS, "unlabelled"),
        ResultKind(LABEL_ISSUE, LABEL_ANALYSIS, "label", min_score=LABEL_ISSUE_THRESHOLD),
        ResultKind("confirmed", LABEL_ANALYSIS, "other"),
        ResultKind("spread", IMAGE_ANALYSIS, "other"),
        *(ResultKind(issue.name, IMAGE_ANALYSIS, "image") for issue in IMAGE_ISSUES),
    )
}
"""The registry of result kinds by name."""
UNLABELLED_KINDS = tuple(kind.name for kind in RESULT_KINDS.values() if kind.subject == "unlabelled")
IMAGE_ISSUE_KINDS = tuple(issue.name for issue in IMAGE_ISSUES)
LABEL_ANALYSIS_KINDS = tuple(kind.name for kind in RESULT_KINDS.values() if kind.analysis == LABEL_ANALYSIS)


class AnalysisResult(NamedTuple):
    """The results of one kind, each image once. images: ids, int64, (N,); scores: (N,), 0 to 1.

    classes: int64, (N,), the id of the class that each suggests; None where the kind suggests none.
    """

    images: Int64Array
    scores: npt.NDArray[np.floating[Any]]
    classes: Int64Array | None = None

    @property
    def class_ids(self) -> Int64Array:
        """The classes, 0 for none: int64, (N,)."""
        return np.zeros(len(self.images), np.int64) if self.classes is None else self.classes


@dataclass(frozen=True)
class AnalysisContext:
    """The database, folder, progress and clock of an analysis of one project."""

    database: Database
    project_id: int
    folder: Path
    """The folder of the project's analysis files."""
    progress: Progress
    now: datetime
    threads: int = 1


@dataclass(frozen=True)
class LastAnalysis:
    """The last analysis of one kind."""

    operation_number: int
    """The newest label operation at the time."""
    facts: Mapping[str, Any]
    at: datetime


def last_analysis(session: Session, project_id: int, kind: AnalysisKind) -> LastAnalysis | None:
    """Return the project's last analysis of a kind; None where there was none."""
    row = session.get(AnalysisRow, (project_id, kind))
    return None if row is None else LastAnalysis(row.operation_number, row.facts, row.at)


def write_analysis(
    session: Session,
    project_id: int,
    kind: AnalysisKind,
    results: Mapping[str, AnalysisResult],
    *,
    operation_number: int,
    facts: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Replace the project's results of each kind in `results`, and record the analysis.

    operation_number: the newest label operation that the analysis knew; facts: plain values for JSON. Results
    of other kinds stay. False, with nothing written, where the project does not exist any more.
    """
    if not lock_project(session, project_id):
        return False
    _delete_results(session, project_id, results)
    for name, result in results.items():
        for start in range(0, len(result.images), _ROWS_PER_INSERT):
            rows = _rows(project_id, name, result, operation_number, start)
            # Not through the ORM, which takes ten times as long for 100,000 rows.
            session.connection().execute(insert(FindingRow), rows)
    session.merge(
        AnalysisRow(
            project_id=project_id, kind=kind, operation_number=operation_number, facts=dict(facts), at=now
        )
    )
    return True


def read_result(session: Session, project_id: int, kind: str) -> AnalysisResult:
    """Return the results of a kind in the order of image ids; a class of 0 is none."""
    wanted = (
        select(FindingRow.image_id, FindingRow.score, FindingRow.class_id)
        .where(FindingRow.project_id == project_id, FindingRow.kind == kind)
        .order_by(FindingRow.image_id)
    )
    rows = session.connection().execute(wanted).all()
    return AnalysisResult(
        np.array([row.image_id for row in rows], np.int64),
        np.array([row.score for row in rows], np.float64),
        np.array([row.class_id or 0 for row in rows], np.int64),
    )


def min_score(kind: str) -> float | None:
    """Return the least score that counts for a kind of results; None: any."""
    return RESULT_KINDS[kind].min_score


def open_conditions(kind: str, result: type[FindingRow], label: type[LabelRow]) -> list[ColumnElement[bool]]:
    """Return the conditions on an image's label under which a result is open."""
    subject = RESULT_KINDS[kind].subject
    if subject == "unlabelled":
        return [label.state == "unlabelled"]
    if subject == "label":
        return [label.state == "labelled", label.operation_number <= result.operation_number]
    return []


def has_open_result(
    kind: str,
    project_id: int,
    image: QueryableAttribute[int],
    *,
    class_id: int | None = None,
    least: float | None = None,
) -> ColumnElement[bool]:
    """Return the condition that an image has an open result of a kind.

    class_id: one that suggests this class; least: one of at least this score.
    """
    result, label = aliased(FindingRow), aliased(LabelRow)
    wanted = [result.project_id == project_id, result.kind == kind, result.image_id == image]
    if class_id is not None:
        wanted.append(result.class_id == class_id)
    if least is not None:
        wanted.append(result.score >= least)
    of_label = open_conditions(kind, result, label)
    if of_label:
        wanted.append(
            exists()
            .where(label.project_id == project_id, label.image_id == result.image_id, *of_label)
            .correlate(result)
        )
    return exists().where(*wanted)


def _delete_results(session: Session, project_id: int, kinds: Collection[str]) -> None:
    session.execute(
        delete(FindingRow)
        .where(FindingRow.project_id == project_id, FindingRow.kind.in_(sorted(kinds)))
        .execution_options(synchronize_session=False)
    )


def _rows(
    project_id: int, kind: str, result: AnalysisResult, operation_number: int, start: int
) -> list[dict[str, Any]]:
    part = slice(start, start + _ROWS_PER_INSERT)
    images: list[int] = result.images[part].tolist()
    scores: list[float] = np.clip(result.scores[part], 0, 1).tolist()
    classes: list[Any] = [None] * len(images) if result.classes is None else result.classes[part].tolist()
    return [
        {
            "project_id": project_id,
            "kind": kind,
            "image_id": image,
            "score": score,
            "class_id": class_id,
            "operation_number": operation_number,
        }
        for image, score, class_id in zip(images, scores, classes, strict=True)
    ]
