"""Rates of requests are shared by all API processes; projects have a quota of stored bytes."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rates",
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("full_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_rates")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE rates SET UNLOGGED")
    op.add_column("projects", sa.Column("max_stored_bytes", sa.BigInteger(), nullable=True))
    op.add_column("projects", sa.Column("stored_bytes", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("projects", "stored_bytes")
    op.drop_column("projects", "max_stored_bytes")
    op.drop_table("rates")
