"""Workers tell the version of their program."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers_seen", sa.Column("version", sa.String(40), nullable=True))


def downgrade() -> None:
    op.drop_column("workers_seen", "version")
