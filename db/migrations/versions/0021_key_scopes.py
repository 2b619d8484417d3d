"""Keys have scopes, bindings, an expiry and a second secret while they are rotated. Existing keys keep all rights."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import db.clock

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

COLUMNS = (
    "requests_per_minute",
    "models",
    "datasets",
    "scopes",
    "expires_at",
    "old_expires_at",
    "old_hash",
)


def upgrade() -> None:
    json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    with op.batch_alter_table("api_keys") as keys:
        keys.add_column(sa.Column("old_hash", sa.String(64), nullable=True))
        keys.add_column(sa.Column("old_expires_at", db.clock.Timestamp(), nullable=True))
        keys.add_column(sa.Column("expires_at", db.clock.Timestamp(), nullable=True))
        keys.add_column(sa.Column("scopes", json, nullable=False, server_default='["admin"]'))
        keys.add_column(sa.Column("datasets", json, nullable=False, server_default="[]"))
        keys.add_column(sa.Column("models", json, nullable=False, server_default="[]"))
        keys.add_column(sa.Column("requests_per_minute", sa.Integer(), nullable=True))
        keys.create_unique_constraint(op.f("uq_api_keys_old_hash"), ["old_hash"])
    with op.batch_alter_table("api_keys") as keys:  # only the keys that exist have all rights without saying so
        for name in ("scopes", "datasets", "models"):
            keys.alter_column(name, server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("api_keys") as keys:
        keys.drop_constraint(op.f("uq_api_keys_old_hash"), type_="unique")
        for name in COLUMNS:
            keys.drop_column(name)
