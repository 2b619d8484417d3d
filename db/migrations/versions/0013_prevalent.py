"""Findings that most of a data set has: analyses count them and list only the worst."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    op.add_column("analyses", sa.Column("prevalent", Json, nullable=False, server_default=sa.text("'{}'")))
    with op.batch_alter_table("analyses") as columns:
        columns.alter_column("prevalent", server_default=None)


def downgrade() -> None:
    op.drop_column("analyses", "prevalent")
