"""Which findings are open: those that nothing which was decided later has answered."""

from typing import get_args

from sqlalchemy import ColumnElement, exists
from sqlalchemy.orm import QueryableAttribute, aliased

from db.curate_models import Finding
from db.models import Label
from studio.curate.findings import Kind

WAITING = ("suggestion", "next", "uncertain")
"""About pictures without a label: open while they have none, so that an undone label shows them again."""
ODD = ("blurred", "dark", "blank", "small", "shape", "far")
"""About pictures themselves; whoever rejects one has answered."""
KINDS: tuple[Kind, ...] = get_args(Kind)
DOUBTFUL_FROM = 0.5
"""Scores of doubt are scaled so that as many reach this as labels are likely wrong."""

LabelRow = type[Label]


def is_open(kind: str, finding: type[Finding], label: LabelRow) -> list[ColumnElement[bool]]:
    """Return the conditions that a finding is open, given its picture's label."""
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
    """Return the condition that a picture has an open finding of a kind.

    class_id: that names this class; least: of this score at least.
    """
    finding, label = aliased(Finding), aliased(Label)
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
