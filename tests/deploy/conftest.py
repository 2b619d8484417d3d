import shutil

import pytest

from api.metrics import State
from db.session import Database
from tsukiji.kernel.metrics import Meters
from tsukiji.kernel.settings import DataSettings, Settings


@pytest.fixture
def families(tmp_path, migrated_sqlite):
    """Every metric, by its name as people write it, with its type and labels."""
    shutil.copy(migrated_sqlite, tmp_path / "tsukiji.db")
    settings = Settings(data=DataSettings(dir=tmp_path))
    database = Database(settings)
    meters = Meters()
    labels = {meter._name: set(meter._labelnames) for meter in vars(meters).values() if hasattr(meter, "_labelnames")}
    found = {family.name: (family.type, labels[family.name]) for family in meters.registry.collect()}
    found |= {family.name: (family.type, set(family._labelnames)) for family in State(database, settings).collect()}
    database.close()
    return found
