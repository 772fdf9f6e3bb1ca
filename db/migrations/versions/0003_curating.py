"""Curating: a numbered history, clashes, findings; classes with colours and hotkeys; given splits."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "studies",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("operation_number", sa.Integer(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_studies_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "kind", name=op.f("pk_studies")),
    )
    op.create_table(
        "findings",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=True),
        sa.Column("operation_number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["classes.id"], name=op.f("fk_findings_class_id")),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_findings_image_id")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_findings_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "kind", "image_id", name=op.f("pk_findings")),
    )
    with op.batch_alter_table("findings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_findings_class_id"), ["class_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_findings_image_id"), ["image_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_findings_project_id_kind_class_id_score_image_id"),
            ["project_id", "kind", "class_id", "score", "image_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_findings_project_id_kind_score_image_id"),
            ["project_id", "kind", "score", "image_id"],
            unique=False,
        )

    op.create_table(
        "label_clashes",
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["class_id"], ["classes.id"], name=op.f("fk_label_clashes_class_id")),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_label_clashes_image_id")),
        sa.ForeignKeyConstraint(
            ["operation_id"],
            ["label_operations.id"],
            name=op.f("fk_label_clashes_operation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_label_clashes_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("operation_id", "image_id", name=op.f("pk_label_clashes")),
    )
    with op.batch_alter_table("label_clashes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_label_clashes_image_id"), ["image_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_label_clashes_project_id_image_id"), ["project_id", "image_id"], unique=False
        )

    op.add_column("classes", sa.Column("colour", sa.String(length=7), server_default="", nullable=False))
    op.add_column("classes", sa.Column("hotkey", sa.String(length=1), server_default="", nullable=False))
    op.add_column("classes", sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True))

    # Columns and indexes only: to change anything else, SQLite's table would be made anew, and dropping the
    # old one would take along, by their foreign keys, all changes of all operations.
    operations = "label_operations"
    op.add_column(operations, sa.Column("number", sa.Integer(), server_default="0", nullable=False))
    op.add_column(operations, sa.Column("author", sa.String(length=64), server_default="", nullable=False))
    op.add_column(
        operations, sa.Column("direction", sa.String(length=4), server_default="do", nullable=False)
    )
    op.execute(
        "ALTER TABLE label_operations ADD COLUMN removed_class_id INTEGER "
        "CONSTRAINT fk_label_operations_removed_class_id REFERENCES classes (id)"
    )
    op.add_column("labels", sa.Column("split", sa.String(length=16), nullable=True))
    op.add_column("labels", sa.Column("operation_number", sa.Integer(), server_default="0", nullable=False))
    _number()
    op.create_index(
        "ix_label_operations_project_id_number", operations, ["project_id", "number"], unique=True
    )
    op.create_index(
        "ix_label_operations_project_id_author_direction_number",
        operations,
        ["project_id", "author", "direction", "number"],
    )
    op.create_index("ix_labels_project_id_state_image_id", "labels", ["project_id", "state", "image_id"])


def _number() -> None:
    """Give the operations that are there their numbers, and each label that of its last change."""
    connection = op.get_bind()
    rows = connection.execute(
        sa.text("SELECT id, project_id, undoes FROM label_operations ORDER BY at, undoes IS NOT NULL, id")
    ).all()
    counts: dict[int, int] = {}
    directions: dict[str, str] = {}
    numbered = []
    for operation_id, project_id, undoes in rows:
        counts[project_id] = counts.get(project_id, 0) + 1
        direction = "do" if undoes is None else "redo" if directions.get(undoes) == "undo" else "undo"
        directions[operation_id] = direction
        numbered.append({"id": operation_id, "number": counts[project_id], "direction": direction})
    if numbered:
        connection.execute(
            sa.text("UPDATE label_operations SET number = :number, direction = :direction WHERE id = :id"),
            numbered,
        )
        connection.execute(
            sa.text(
                "UPDATE labels SET operation_number = coalesce((SELECT max(o.number) FROM label_changes c "
                "JOIN label_operations o ON o.id = c.operation_id "
                "WHERE c.image_id = labels.image_id AND o.project_id = labels.project_id), 0)"
            )
        )
