import shutil

import pytest

from db import keys
from db.session import Database
from tests.settings import make_settings
from tsukiji.kernel.settings import DatabaseSettings, DataSettings


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request, tmp_path):
    """Settings of a migrated, empty database of each kind."""
    data = DataSettings(dir=tmp_path)
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "tsukiji.db")
        return make_settings(data=data)
    return make_settings(data=data, database=DatabaseSettings(url=request.getfixturevalue("empty_postgres")))


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
