"""People who sign in by an OpenID provider, with a key for each of their projects, and invitations."""

import sqlalchemy as sa
from alembic import op

import db.clock

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("issuer", sa.String(500), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("email", sa.String(320), nullable=True),
        sa.Column("name", sa.String(200), nullable=True),
        sa.Column("claimed_role", sa.String(20), nullable=True),
        sa.Column("barred", sa.Boolean(), nullable=False),
        sa.Column("created_at", db.clock.Timestamp(), nullable=False),
        sa.Column("signed_in_at", db.clock.Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_people_issuer_subject")),
    )
    op.create_index(op.f("ix_people_email"), "people", ["email"])
    op.create_table(
        "invitations",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("created_at", db.clock.Timestamp(), nullable=False),
        sa.Column("created_by", sa.String(40), nullable=False),
        sa.Column("expires_at", db.clock.Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_invitations_project_id_projects")),
        sa.UniqueConstraint("project_id", "email", name=op.f("uq_invitations_project_id_email")),
    )
    op.create_index(op.f("ix_invitations_email"), "invitations", ["email"])
    with op.batch_alter_table("api_keys") as keys:
        keys.add_column(sa.Column("person_id", sa.String(40), nullable=True))
        keys.create_foreign_key(op.f("fk_api_keys_person_id_people"), "people", ["person_id"], ["id"])
        keys.create_index(op.f("ix_api_keys_person_id"), ["person_id"])


def downgrade() -> None:
    """Keys of people go as well: who has no person would be a key like others."""
    op.execute("DELETE FROM api_keys WHERE person_id IS NOT NULL")
    with op.batch_alter_table("api_keys") as keys:
        keys.drop_index(op.f("ix_api_keys_person_id"))
        keys.drop_constraint(op.f("fk_api_keys_person_id_people"), type_="foreignkey")
        keys.drop_column("person_id")
    op.drop_table("invitations")
    op.drop_table("people")
