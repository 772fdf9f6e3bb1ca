"""Which of a project's runs have curves to show, and the best that they have come to."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models import CurvePoint, Run


def best_validations(session: Session, run_ids: Collection[int]) -> dict[int, float]:
    """Return each run's best validation accuracy, 0-1; runs without a validation point are left out."""
    rows = session.execute(
        select(CurvePoint.run_id, func.max(CurvePoint.accuracy))
        .where(CurvePoint.run_id.in_(run_ids), CurvePoint.split == "validation")
        .group_by(CurvePoint.run_id)
    )
    return dict(rows.all())


def runs_among(session: Session, project_id: int, run_ids: Collection[int]) -> list[int]:
    """Return those of the ids that are runs of this project."""
    wanted = select(Run.id).where(Run.id.in_(run_ids), Run.project_id == project_id).order_by(Run.id)
    return list(session.scalars(wanted))
