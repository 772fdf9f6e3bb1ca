"""Which of a project's runs have curves to show, and the best that they have come to."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models


def best_validations(session: Session, run_ids: Collection[int]) -> dict[int, float]:
    """Return each run's best validation accuracy, 0-1; runs without a validation point are left out."""
    rows = session.execute(
        select(models.CurvePoint.run_id, func.max(models.CurvePoint.accuracy))
        .where(models.CurvePoint.run_id.in_(run_ids), models.CurvePoint.split == "validation")
        .group_by(models.CurvePoint.run_id)
    )
    return dict(rows.all())


def runs_among(session: Session, project_id: int, run_ids: Collection[int]) -> list[int]:
    """Return those of the ids that are runs of this project."""
    wanted = (
        select(models.Run.id)
        .where(models.Run.id.in_(run_ids), models.Run.project_id == project_id)
        .order_by(models.Run.id)
    )
    return list(session.scalars(wanted))
