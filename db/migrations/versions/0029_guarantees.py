"""What is promised of batches' decisions, what people found in samples of them, and aliases' targets."""

import sqlalchemy as sa
from alembic import op

from db.clock import Timestamp

revision = "0029"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("aliases", sa.Column("target_error", sa.Float(), nullable=True))
    op.add_column("aliases", sa.Column("confidence", sa.Float(), nullable=False, server_default="0.95"))
    op.create_table(
        "batch_guarantees",
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("decided", sa.Integer(), nullable=False),
        sa.Column("broken", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_batch_guarantees_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_batch_guarantees")),
    )
    op.create_table(
        "guarantee_checks",
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("correct", sa.Boolean(), nullable=True),
        sa.Column("checked_at", Timestamp(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["batch_guarantees.job_id"],
            name=op.f("fk_guarantee_checks_job_id_batch_guarantees"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "place", name=op.f("pk_guarantee_checks")),
    )


def downgrade() -> None:
    op.drop_table("guarantee_checks")
    op.drop_table("batch_guarantees")
    op.drop_column("aliases", "confidence")
    op.drop_column("aliases", "target_error")
