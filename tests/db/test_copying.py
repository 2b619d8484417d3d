"""A service that grows: its rows move from one database to another, and nothing is lost."""

import pytest
from sqlalchemy import func, select

from db import keys
from db.__main__ import main
from db.copying import copy_database
from db.curation import datasets
from db.curation.datasets import NewImage
from db.jobs import workers
from db.models import ApiKey, AuditEntry, Base, Image, Project
from db.session import Database
from tsukiji.errors import Invalid
from tsukiji.kernel.settings import DataSettings, Settings


@pytest.fixture
def laptop(migrated_sqlite, tmp_path):
    """A service in SQLite with a data set of 1,100 images and a key; its settings and the key's secret."""
    folder = tmp_path / "laptop"
    folder.mkdir()
    (folder / "tsukiji.db").write_bytes(migrated_sqlite.read_bytes())
    settings = Settings(data=DataSettings(dir=folder))
    database = Database(settings)
    with database.transaction() as session:
        _, secret = keys.create(session, "mine")
        dataset = datasets.create(session, "sushi")
        new = [NewImage(f"{n}.jpg", "marugoto 寿司", None, f"{n:064x}", 500, 375, 30_000, "JPEG") for n in range(1100)]
        datasets.add_images(session, dataset.id, new)
        session.add(AuditEntry(name="mine", act="create_dataset", address="POST /v1/datasets"))
    database.close()
    return settings, secret


def rows_of(settings):
    database = Database(settings)
    try:
        with database.reading() as session:
            tables = Base.metadata.tables.values()
            return {table.name: sorted(map(repr, session.execute(select(table)).all())) for table in tables}
    finally:
        database.close()


def test_all_rows_arrive(laptop, settings):
    source, secret = laptop
    told = dict(copy_database(source, settings))
    assert told["images"] == 1100
    assert rows_of(settings) == rows_of(source)
    database = Database(settings)
    with database.transaction() as session:
        key = keys.verify(session, secret)
        assert key
        assert key.name == "mine"
        session.add(AuditEntry(name="mine", act="sign_in", address="POST /sign-in"))  # counts on
        datasets.create(session, "more")
    database.close()


def test_what_holds_data_is_left_as_it_is(laptop, database, settings):
    with database.transaction() as session:
        datasets.create(session, "precious")
    with pytest.raises(Invalid, match="data already"):
        list(copy_database(laptop[0], settings))
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Image)) == 0
        assert datasets.find(session, "precious")


def test_a_running_service_is_not_copied(laptop, settings):
    database = Database(laptop[0])
    with database.transaction() as session:
        workers.report(session, "train@here", "train", "cpu")
    database.close()
    with pytest.raises(Invalid, match="runs"):
        list(copy_database(laptop[0], settings))


def test_a_fault_in_the_middle_leaves_nothing(laptop, settings, database):
    copying = copy_database(laptop[0], settings)
    for name, _ in copying:
        if name == "images":
            break
    copying.close()
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(ApiKey)) == 0
        assert session.scalars(select(Project.id)).all() == ["prj_default"]


def test_the_command_names_the_target(laptop, settings, monkeypatch, capsys):
    monkeypatch.setenv("TSUKIJI_DATA_DIR", str(laptop[0].data.dir))
    monkeypatch.delenv("TSUKIJI_DATABASE_URL", raising=False)
    assert main(["copy", "--to", settings.database_url]) == 0
    assert "images: 1,100" in capsys.readouterr().out
    assert main(["copy", "--to", laptop[0].database_url]) == 4
