"""Migrates a database to this code's schema with Alembic, independent of the working directory."""

import threading
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config

from db.session import Database
from tsukiji.kernel.settings import Settings

ALEMBIC = threading.Lock()  # its context is global to the process


def upgrade(settings: Settings, revision: str = "head") -> None:
    """Run the migrations up to `revision`; safe to run from several processes at once."""
    run(settings, lambda config: command.upgrade(config, revision))


def downgrade(settings: Settings, revision: str) -> None:
    run(settings, lambda config: command.downgrade(config, revision))


def check(settings: Settings) -> None:
    """Raise if the models differ from what the migrations create."""
    run(settings, command.check)


def run(settings: Settings, act: Callable[[Config], object]) -> None:
    database = Database(settings)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with ALEMBIC, database.engine.connect() as connection:
            config.attributes["connection"] = connection
            act(config)
    finally:
        database.close()
