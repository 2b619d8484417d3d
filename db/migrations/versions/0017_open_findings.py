"""Findings that a person dismissed are not listed again, nor are those that were acted upon."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("images", sa.Column("dismissed", sa.String(1200), nullable=True))
    op.add_column("findings", sa.Column("label", sa.String(1200), nullable=True))
    op.execute("UPDATE findings SET label = (SELECT images.label FROM images WHERE images.id = findings.image_id)")


def downgrade() -> None:
    op.drop_column("findings", "label")
    op.drop_column("images", "dismissed")
