"""Migrates a database to this code's schema with Alembic, independent of the working directory."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from db.session import Database
from tsukiji.kernel.settings import Settings

ALEMBIC = threading.Lock()  # its context is global to the process


@dataclass(frozen=True)
class Revision:
    """The schema of a database beside the one of this code."""

    found: str | None
    """None: it has none."""
    head: str
    known: frozenset[str]
    """All that this code can migrate."""


def revision_of(connection: Connection) -> Revision:
    scripts = ScriptDirectory.from_config(config())
    known = frozenset(script.revision for script in scripts.walk_revisions())
    found = MigrationContext.configure(connection).get_current_revision()
    return Revision(found, str(scripts.get_current_head()), known)


def upgrade(settings: Settings, revision: str = "head") -> None:
    """Run the migrations up to `revision`; safe to run from several processes at once."""
    run(settings, lambda config: command.upgrade(config, revision))


def downgrade(settings: Settings, revision: str) -> None:
    run(settings, lambda config: command.downgrade(config, revision))


def check(settings: Settings) -> None:
    """Raise if the models differ from what the migrations create."""
    run(settings, command.check)


def run(settings: Settings, act: Callable[[Config], object]) -> None:
    database, migrations = Database(settings), config()
    try:
        with ALEMBIC, database.engine.connect() as connection:
            migrations.attributes["connection"] = connection
            act(migrations)
    finally:
        database.close()


def config() -> Config:
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return found
