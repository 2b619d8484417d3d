"""What batches are like beside the pictures that their models' trainings held out."""

import sqlalchemy as sa
from alembic import op

from db.clock import Timestamp
from db.models import Json

revision = "0025"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("models", sa.Column("held_out", Json, nullable=True))
    op.create_table(
        "batch_drifts",
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("model_id", sa.String(40), nullable=False),
        sa.Column("distribution", sa.LargeBinary(), nullable=False),
        sa.Column("strange", sa.Integer(), nullable=True),
        sa.Column("expected", sa.Float(), nullable=True),
        sa.Column("p_value", sa.Float(), nullable=True),
        sa.Column("exceeded", sa.Boolean(), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_batch_drifts_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_batch_drifts")),
    )
    op.create_index("ix_batch_drifts_model", "batch_drifts", ["model_id", "job_id"], unique=False)


def downgrade() -> None:
    op.drop_table("batch_drifts")
    op.drop_column("models", "held_out")
