import shutil

import pytest

from db import keys
from db.models import Base
from db.session import Database
from db.upgrade import upgrade
from tsukiji.kernel.settings import DatabaseSettings, DataSettings, Settings


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request, tmp_path):
    """Settings of a migrated, empty database of each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "tsukiji.db")
        yield Settings(data=DataSettings(dir=tmp_path))
        return
    url = request.getfixturevalue("postgres_url")
    settings = Settings(data=DataSettings(dir=tmp_path), database=DatabaseSettings(url=url))
    upgrade(settings)
    yield settings
    database = Database(settings)
    names = ", ".join(set(Base.metadata.tables) - {"projects"})
    with database.transaction() as session:
        session.connection().exec_driver_sql(f"TRUNCATE {names} CASCADE")
        session.connection().exec_driver_sql("DELETE FROM projects WHERE id != 'prj_default'")
    database.close()


@pytest.fixture
def database(settings):
    database = Database(settings)
    yield database
    database.close()


@pytest.fixture
def session(database):
    with database.transaction() as session:
        yield session


@pytest.fixture
def key(database):
    with database.transaction() as session:
        return keys.create(session, "test")[0]
