"""Devices on which trainings and batches take turns."""

import sqlalchemy as sa
from alembic import op

import db.clock

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shared_devices",
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("queue", sa.String(20), nullable=False),
        sa.Column("worker", sa.String(120), nullable=True),
        sa.Column("expires_at", db.clock.Timestamp(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("waiting", sa.String(20), nullable=True),
        sa.Column("waits_until", db.clock.Timestamp(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_shared_devices")),
    )


def downgrade() -> None:
    op.drop_table("shared_devices")
