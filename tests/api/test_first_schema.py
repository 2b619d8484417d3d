"""A database and a folder as the first schema had them: migrated, and read by the service as a whole.

The rows are SQL by hand, with the columns of the first migration: no later model has touched them.
"""

import hashlib
import json
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from api.main import create_app
from api.services import Services
from db import keys
from db.models import Base
from db.session import Database
from db.upgrade import downgrade, upgrade
from tests.api.conftest import RecordedWakeups, picture
from tsukiji.kernel.settings import DatabaseSettings, DataSettings, Settings
from tsukiji.kernel.storage import open_store

PICTURE = picture()
PACKAGE = b"weights of a first model"
LABELS = ["eel", "tuna"]
SHARES = bytes.fromhex("0000403f0000803e")
"""0.75 and 0.25 as float32."""


def sha(data):
    return hashlib.sha256(data).hexdigest()


ROWS = Path(__file__).with_name("first_schema.sql")
TOLD = {
    "picture": sha(PICTURE),
    "picture_bytes": len(PICTURE),
    "package": sha(PACKAGE),
    "package_bytes": len(PACKAGE),
    "shares": SHARES,
}
READ = """
datasets datasets/fish datasets/fish/images datasets/fish/snapshots datasets/fish/revisions images/img_1
images/img_1/content images/img_1/changes snapshots/snp_1 imports imports/imp_1
imports/imp_1/items imports/imp_1/summary aliases aliases/production aliases/production/history evaluations
evaluations/evl_1 evaluations/evl_1/items models models/production models/fish/package models/fish/exports
models/fish/suspects models/fish/drift trainings trainings/trn_1 trainings/trn_1/metrics batches batches/bat_1
batches/bat_1/items batches/bat_1/results batches/bat_1/summary batches/bat_1/results/0/content batches/bat_2
predictions/prd_1 jobs jobs/bat_1 search?q=fish info keys projects webhooks
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def first(request, tmp_path):
    """The settings of a database with the first schema and its rows, and a store with their bytes."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    settings = Settings(data=DataSettings(dir=tmp_path), database=DatabaseSettings(url=url))
    upgrade(settings, "0001")
    downgrade(settings, "0001")  # a server shared by tests has the newest schema
    database = Database(settings)
    for data in (PICTURE, PACKAGE):
        path = tmp_path / "blobs" / sha(data)[:2] / sha(data)[2:4] / sha(data)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with database.transaction() as session:
        for statement in ROWS.read_text("utf-8").strip().split(";\n"):
            rows = text(statement)
            session.execute(rows, {name: TOLD[name] for name in rows.compile().params})
    yield settings
    with database.transaction() as session:
        names = ", ".join(set(Base.metadata.tables) - {"projects"})
        if url:
            session.connection().exec_driver_sql(f"TRUNCATE {names} CASCADE")
    database.close()


def test_the_service_reads_all_that_the_first_schema_had(first):
    upgrade(first)
    database = Database(first)
    with database.transaction() as session:
        _, key = keys.create(session, "now")
    made = Services(first, database, open_store(first), RecordedWakeups())
    with TestClient(create_app(first, lambda _: made), base_url="http://localhost") as client:
        client.headers["Authorization"] = f"Bearer {key}"
        answers = {path: client.get(f"/v1/{path}") for path in READ.split()}
        assert {path: answer.status_code for path, answer in answers.items() if answer.status_code != 200} == {}
        assert answers["images/img_1/content"].content == answers["batches/bat_1/results/0/content"].content == PICTURE
        (result,) = [json.loads(line) for line in answers["batches/bat_1/results"].text.splitlines()]
        assert (result["custom_id"], result["label"], result["score"]) == ("1.png", "eel", 0.75)
        assert answers["models/production"].json()["label_names"] == LABELS
        assert {job["id"] for job in answers["jobs"].json()["data"]} == {"trn_1", "imp_1", "bat_1", "bat_2", "prd_1"}
        assert client.post("/v1/jobs/bat_2/cancel").json()["status"] == "cancelled", "what waited can go on, or not"
    database.close()
