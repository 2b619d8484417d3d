"""Projects: what there is belongs to the default one. Names are unique within a project. Quotas of pictures.

The columns keep their default in the database: programs of the version before may still insert rows meanwhile.
"""

import sqlalchemy as sa
from alembic import op

from db.clock import Timestamp, now

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

OWNED = ("api_keys", "uploads", "datasets", "snapshots", "models", "aliases", "alias_moves", "jobs", "webhooks")
DEFAULT = "prj_default"
ADD = f"ADD COLUMN project_id VARCHAR(40) DEFAULT '{DEFAULT}' NOT NULL"


def upgrade() -> None:
    projects = op.create_table(
        "projects",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("requests_per_minute", sa.Integer(), nullable=True),
        sa.Column("pictures_per_day", sa.Integer(), nullable=True),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("name", name=op.f("uq_projects_name")),
    )
    op.execute(projects.insert().values(id=DEFAULT, name="default", created_at=now()))
    op.create_table(
        "usages",
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("pictures", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "day", name=op.f("pk_usages")),
    )
    for table in OWNED:
        add_project(table)
    op.execute(f"ALTER TABLE audit_entries {ADD}")
    op.add_column("api_keys", sa.Column("pictures_per_day", sa.Integer(), nullable=True))
    with op.batch_alter_table("datasets") as datasets:
        datasets.drop_constraint("uq_datasets_name", type_="unique")
        datasets.create_unique_constraint(op.f("uq_datasets_project_id_name"), ["project_id", "name"])
    with op.batch_alter_table("aliases") as aliases:
        aliases.drop_constraint("pk_aliases", type_="primary")
        aliases.create_primary_key(op.f("pk_aliases"), ["project_id", "name"])
    op.drop_index("ix_alias_moves_name", "alias_moves")
    op.create_index("ix_alias_moves_name", "alias_moves", ["project_id", "name", "id"])
    op.create_index("ix_jobs_project", "jobs", ["project_id", "age"])
    op.create_index("ix_audit_entries_project", "audit_entries", ["project_id", "id"])


def add_project(table: str) -> None:
    """Add the column and its foreign key without reading the table: all rows refer to the default project."""
    key = f"CONSTRAINT fk_{table}_project_id_projects"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"ALTER TABLE {table} {ADD} {key} REFERENCES projects (id)")
        return
    op.execute(f"ALTER TABLE {table} {ADD}")
    op.execute(f"ALTER TABLE {table} ADD {key} FOREIGN KEY (project_id) REFERENCES projects (id) NOT VALID")


def downgrade() -> None:
    """Fails if two projects have data sets or aliases of one name."""
    op.drop_index("ix_audit_entries_project", "audit_entries")
    op.drop_index("ix_jobs_project", "jobs")
    op.drop_index("ix_alias_moves_name", "alias_moves")
    op.create_index("ix_alias_moves_name", "alias_moves", ["name", "id"])
    with op.batch_alter_table("aliases") as aliases:
        aliases.drop_constraint("pk_aliases", type_="primary")
        aliases.create_primary_key(op.f("pk_aliases"), ["name"])
    with op.batch_alter_table("datasets") as datasets:
        datasets.drop_constraint("uq_datasets_project_id_name", type_="unique")
        datasets.create_unique_constraint(op.f("uq_datasets_name"), ["name"])
    op.drop_column("audit_entries", "project_id")
    for table in OWNED:
        with op.batch_alter_table(table) as columns:
            columns.drop_column("project_id")
    op.drop_column("api_keys", "pictures_per_day")
    op.drop_table("usages")
    op.drop_table("projects")
