"""What workers tell about the engines of their machine."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers_seen", sa.Column("engines", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("workers_seen", "engines")
