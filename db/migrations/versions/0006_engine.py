"""The execution plan used for a batch, and a model's results in lower precisions."""

import sqlalchemy as sa
from alembic import op

from db.models import Json

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("engine", Json, nullable=True))
    op.add_column("models", sa.Column("parity", Json, nullable=False, server_default=sa.text("'{}'")))


def downgrade() -> None:
    op.drop_column("models", "parity")
    op.drop_column("jobs", "engine")
