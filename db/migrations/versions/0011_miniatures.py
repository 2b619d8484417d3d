"""Miniatures of pictures, in a table of their own; measures and comparisons are redone."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "image_miniatures",
        sa.Column("image_id", sa.String(length=40), nullable=False),
        sa.Column("pixels", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_image_miniatures_image_id_images"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image_miniatures")),
    )
    # Earlier measures are outdated; the next analysis recomputes them, and makes the miniatures.
    op.execute("DELETE FROM image_measures")
    with op.batch_alter_table("image_measures") as measures:
        measures.drop_column("greys")


def downgrade() -> None:
    op.execute("DELETE FROM image_measures")
    with op.batch_alter_table("image_measures") as measures:
        measures.add_column(sa.Column("greys", sa.LargeBinary(), nullable=False))
    op.drop_table("image_miniatures")
