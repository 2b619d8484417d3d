"""Fair scheduling of batches, back-off of chunks, and addresses of the workers' predict RPC."""

from typing import Any

import sqlalchemy as sa
from alembic import op

import db.clock

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

LANE: dict[str, Any] = {"lane_host": sa.String(255), "lane_port": sa.Integer(), "lane_secret": sa.String(64)}


def upgrade() -> None:
    for name, kind in LANE.items():
        op.add_column("workers_seen", sa.Column(name, kind, nullable=True))
    op.add_column("jobs", sa.Column("turn", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.create_index("ix_jobs_turn", "jobs", ["turn"], unique=False)
    op.add_column("chunks", sa.Column("rests_until", db.clock.Timestamp(), nullable=True))
    for name in ("priority", "sent_at"):
        op.drop_column("chunks", name)
    op.drop_index("ix_chunks_job_status", "chunks")
    op.create_index("ix_chunks_job_status", "chunks", ["job_id", "status", "first_seq"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_chunks_job_status", "chunks")
    op.create_index("ix_chunks_job_status", "chunks", ["job_id", "status"], unique=False)
    op.add_column("chunks", sa.Column("sent_at", db.clock.Timestamp(), nullable=True))
    op.add_column("chunks", sa.Column("priority", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.drop_column("chunks", "rests_until")
    op.drop_index("ix_jobs_turn", "jobs")
    op.drop_column("jobs", "turn")
    for name in LANE:
        op.drop_column("workers_seen", name)
