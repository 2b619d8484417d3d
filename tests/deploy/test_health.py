"""`python -m worker.health`, the health check of the workers' containers."""

import shutil
import socket

import pytest

from db.jobs import workers
from db.session import Database
from tsukiji.kernel.settings import DataSettings, Settings
from worker import health


@pytest.fixture
def database(tmp_path, monkeypatch, migrated_sqlite):
    monkeypatch.setenv("TSUKIJI_DATA_DIR", str(tmp_path))
    settings = Settings(data=DataSettings(dir=tmp_path))
    shutil.copy(migrated_sqlite, tmp_path / "tsukiji.db")
    database = Database(settings)
    yield database
    database.close()


def report(database, worker, queue):
    with database.transaction() as session:
        workers.report(session, worker, queue, None)


def test_a_worker_that_reports_is_healthy(database):
    report(database, f"train@{socket.gethostname()}:17", "train")
    assert health.main(["train"]) == 0


def test_another_role_or_another_machine_is_not_this_worker(database, capsys):
    report(database, f"train@{socket.gethostname()}:17", "train")
    report(database, "infer@elsewhere:17", "infer")
    assert health.main(["infer"]) == 1
    assert "no infer worker" in capsys.readouterr().err


def test_a_worker_that_fell_silent_is_not_healthy(database, monkeypatch):
    report(database, f"train@{socket.gethostname()}:17", "train")
    monkeypatch.setattr(health, "MISSED_BEATS", 0)
    assert health.main(["train"]) == 1


def test_a_database_out_of_reach_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TSUKIJI_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")
    assert health.main(["train"]) == 1
    assert "the database does not answer" in capsys.readouterr().err


def test_a_malformed_setting_is_named(monkeypatch, capsys):
    monkeypatch.setenv("TSUKIJI_JOBS_BEAT_SECONDS", "often")
    assert health.main(["train"]) == 1
    assert "TSUKIJI_JOBS_BEAT_SECONDS" in capsys.readouterr().err
