"""Runs with names, notes and facts, to be deleted, several to a job; the times of points; acts counted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OF_RUNS = ("curve_points", "models")


def upgrade() -> None:
    # SQLite drops a constraint by making the table anew: what hangs on the old one's rows would go with it.
    kept = _OF_RUNS if op.get_bind().dialect.name == "sqlite" else ()
    for table in kept:
        op.execute(f"CREATE TEMPORARY TABLE kept_{table} AS SELECT * FROM {table}")  # noqa: S608 - names of ours
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("name", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("note", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("facts", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("rerun_of", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_runs_rerun_of"), "runs", ["rerun_of"], ["id"], ondelete="SET NULL"
        )
        batch_op.drop_constraint(batch_op.f("uq_runs_job_id"), type_="unique")
        batch_op.create_index(batch_op.f("ix_runs_job_id"), ["job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_runs_rerun_of"), ["rerun_of"], unique=False)
    for table in kept:
        op.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")  # noqa: S608 - names of ours
        op.execute(f"DROP TABLE kept_{table}")
    op.add_column("curve_points", sa.Column("elapsed_s", sa.Double(), nullable=True))
    op.add_column("label_operations", sa.Column("outcome", sa.JSON(), server_default="[]", nullable=False))
    _count_outcomes()


def _count_outcomes() -> None:
    """Give each operation that is there the count of its changes."""
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT operation_id, state_after, class_id_after, "
            "CASE WHEN state_before IS NULL THEN 1 ELSE 0 END AS came, count(*) FROM label_changes "
            "GROUP BY operation_id, state_after, class_id_after, came"
        )
    ).all()
    outcomes: dict[str, list[list[object]]] = {}
    for operation_id, *group in rows:
        outcomes.setdefault(operation_id, []).append(group)
    operations = sa.table("label_operations", sa.column("id"), sa.column("outcome", sa.JSON()))
    for operation_id, outcome in outcomes.items():
        connection.execute(
            sa.update(operations).where(operations.c.id == operation_id).values(outcome=outcome)
        )
