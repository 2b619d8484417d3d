"""Single-use sign-in links, and which key created a key."""

import sqlalchemy as sa
from alembic import op

import db.clock

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sign_in_links",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(40), nullable=False),
        sa.Column("expires_at", db.clock.Timestamp(), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name=op.f("fk_sign_in_links_key_id_api_keys"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_sign_in_links")),
    )
    op.add_column("api_keys", sa.Column("created_by", sa.String(40), nullable=True))


def downgrade() -> None:
    op.drop_column("api_keys", "created_by")
    op.drop_table("sign_in_links")
