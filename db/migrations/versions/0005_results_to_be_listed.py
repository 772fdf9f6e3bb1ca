"""Snapshots that know how many pictures they hold, and a run's answers apart from what lists show of it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("snapshots", sa.Column("pictures", sa.Integer(), server_default="0", nullable=False))
    op.execute(
        "UPDATE snapshots SET pictures = "
        "(SELECT count(*) FROM snapshot_images WHERE snapshot_images.snapshot_id = snapshots.id)"
    )
    op.add_column("runs", sa.Column("answers", sa.JSON(), nullable=True))
    _part_evaluations()


def _part_evaluations() -> None:
    """Move the answers on single pictures out of the evaluations that are there."""
    connection = op.get_bind()
    runs = sa.table(
        "runs", sa.column("id"), sa.column("evaluation", sa.JSON()), sa.column("answers", sa.JSON())
    )
    for run_id in connection.scalars(sa.select(runs.c.id)).all():
        evaluation = connection.scalar(sa.select(runs.c.evaluation).where(runs.c.id == run_id))
        if not evaluation or "predictions" not in evaluation:
            continue
        answers = {"predictions": evaluation.pop("predictions")}
        connection.execute(
            sa.update(runs).where(runs.c.id == run_id).values(evaluation=evaluation, answers=answers)
        )
