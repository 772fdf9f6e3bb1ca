"""Pictures from the web: addresses, answers, search hits, groups of copies, and more about each find."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "web_answers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("etag", sa.String(), nullable=False),
        sa.Column("last_modified", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("reading", sa.JSON(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_answers")),
        sa.UniqueConstraint("address", name=op.f("uq_web_answers_address")),
    )
    op.create_table(
        "copy_groups",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("found_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_copy_groups_image_id")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_copy_groups_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "image_id", name=op.f("pk_copy_groups")),
    )
    with op.batch_alter_table("copy_groups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_copy_groups_image_id"), ["image_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_copy_groups_project_id_group_id"), ["project_id", "group_id"], unique=False
        )

    op.create_table(
        "search_hits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("phrase", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("preview", sa.String(), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=True),
        sa.Column("height_px", sa.Integer(), nullable=True),
        sa.Column("papers", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_search_hits_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_hits")),
        sa.UniqueConstraint("job_id", "address", name=op.f("uq_search_hits_job_id_address")),
    )
    op.create_table(
        "web_addresses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("class_name", sa.String(), nullable=True),
        sa.Column("papers", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_web_addresses_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_addresses")),
        sa.UniqueConstraint("job_id", "address", name=op.f("uq_web_addresses_job_id_address")),
    )
    with op.batch_alter_table("web_addresses", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_web_addresses_job_id_state_id"), ["job_id", "state", "id"], unique=False
        )

    with op.batch_alter_table("finds", schema=None) as batch_op:
        batch_op.add_column(sa.Column("why", sa.String(length=16), server_default="", nullable=False))
        batch_op.add_column(sa.Column("page_address", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("site", sa.String(), server_default="", nullable=False))
        batch_op.create_index(
            batch_op.f("ix_finds_project_id_job_id_site_outcome_why"),
            ["project_id", "job_id", "site", "outcome", "why"],
            unique=False,
        )
