"""Results filtered by score and label; retention."""

from typing import Any

import sqlalchemy as sa
from alembic import op

import db.clock

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEXES = {"ix_predictions_score": ["score"], "ix_predictions_label": ["label", "score"]}
COLUMNS: dict[str, Any] = {
    "retention_days": sa.Float(),
    "results_expire_at": db.clock.Timestamp(),
    "results_deleted_at": db.clock.Timestamp(),
}


def upgrade() -> None:
    for name, columns in INDEXES.items():
        op.create_index(name, "predictions", ["job_id", *columns, "seq", "known_score"], unique=False)
    for column, kind in COLUMNS.items():
        op.add_column("jobs", sa.Column(column, kind, nullable=True))
    op.create_index(op.f("ix_jobs_results_expire_at"), "jobs", ["results_expire_at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_jobs_results_expire_at"), "jobs")
    for column in COLUMNS:
        op.drop_column("jobs", column)
    for name in INDEXES:
        op.drop_index(name, "predictions")
