"""Multi-label data sets and models, label sets, tags and heatmaps."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
KIND = "single_label"
ONE_LABEL = sa.String(length=200)
LABELS = sa.String(length=1200)
WIDER = {
    "images": ("label",),
    "image_names": ("label",),
    "revision_changes": ("before", "after"),
    "import_items": ("label",),
    "batch_items": ("true_label",),
    "evaluation_items": ("true_label", "predicted_label"),
    "label_suspects": ("label", "suggested_label"),
}
"""Columns of single labels that may now hold a set."""


def upgrade() -> None:
    for table in ("datasets", "models"):
        op.add_column(table, sa.Column("kind", sa.String(length=12), nullable=False, server_default=KIND))
        with op.batch_alter_table(table) as columns:
            columns.alter_column("kind", server_default=None)
    op.add_column("predictions", sa.Column("labels", LABELS, nullable=True))
    op.add_column("predictions", sa.Column("tags", Json, nullable=True))
    op.add_column("predictions", sa.Column("heatmap", Json, nullable=True))
    change_type(ONE_LABEL, LABELS)


def downgrade() -> None:
    # A longer set would be cut off or refused: a database with such sets is left as it is.
    change_type(LABELS, ONE_LABEL)
    for column in ("heatmap", "tags", "labels"):
        op.drop_column("predictions", column)
    for table in ("models", "datasets"):
        op.drop_column(table, "kind")


def change_type(before: sa.String, after: sa.String) -> None:
    for table, names in WIDER.items():
        with op.batch_alter_table(table) as columns:
            for name in names:
                columns.alter_column(name, existing_type=before, type_=after)
