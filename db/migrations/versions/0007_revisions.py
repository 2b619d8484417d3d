"""Revisions of data sets that can be undone; images that are excluded, cropped, or wait for review."""

from typing import Any

import sqlalchemy as sa
from alembic import op

import db.boxes
import db.clock

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_images_dataset_excluded": ["dataset_id", "excluded", "id"],
    "ix_images_dataset_review": ["dataset_id", "review", "id"],
}
CROP = db.boxes.BoxText()
COLUMNS: dict[str, Any] = {
    "crop": {"type_": CROP, "nullable": True},
    "excluded": {"type_": sa.Boolean(), "nullable": False, "server_default": sa.false()},
    "review": {"type_": sa.String(8), "nullable": True},
}


def upgrade() -> None:
    for name, facts in COLUMNS.items():
        op.add_column("images", sa.Column(name, **facts))
    for name, columns in INDEXES.items():
        op.create_index(name, "images", columns, unique=False)
    op.add_column("batch_items", sa.Column("crop", CROP, nullable=True))
    op.create_table(
        "revisions",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("dataset_id", sa.String(40), nullable=False),
        sa.Column("act", sa.String(20), nullable=False),
        sa.Column("field", sa.String(10), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(40), nullable=True),
        sa.Column("author", sa.String(200), nullable=True),
        sa.Column("undoes", sa.String(40), nullable=True),
        sa.Column("undone_by", sa.String(40), nullable=True),
        sa.Column("created_at", db.clock.Timestamp(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_revisions_dataset_id_datasets"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["api_keys.id"], name=op.f("fk_revisions_created_by_api_keys"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revisions")),
    )
    op.create_index("ix_revisions_dataset", "revisions", ["dataset_id", "id"], unique=False)
    op.create_table(
        "revision_changes",
        sa.Column("revision_id", sa.String(40), nullable=False),
        sa.Column("image_id", sa.String(40), nullable=False),
        sa.Column("before", sa.String(200), nullable=True),
        sa.Column("after", sa.String(200), nullable=True),
        sa.ForeignKeyConstraint(
            ["revision_id"],
            ["revisions.id"],
            name=op.f("fk_revision_changes_revision_id_revisions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_revision_changes_image_id_images"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("revision_id", "image_id", name=op.f("pk_revision_changes")),
    )
    op.create_index("ix_revision_changes_image", "revision_changes", ["image_id", "revision_id"], unique=False)


def downgrade() -> None:
    op.drop_table("revision_changes")
    op.drop_table("revisions")
    op.drop_column("batch_items", "crop")
    for name in INDEXES:
        op.drop_index(name, "images")
    for name in COLUMNS:
        op.drop_column("images", name)
