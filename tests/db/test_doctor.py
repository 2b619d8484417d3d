"""`python -m db.doctor`: each mistake of a set-up is made, and found."""

import json
import socket
import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
import redis
from sqlalchemy import text, update

from db import blobs, doctor, keys
from db.clock import now
from db.jobs import workers
from db.models import ApiKey
from tests.api.openid_provider import running_provider
from tsukiji.kernel.storage import open_store


@pytest.fixture
def environment(monkeypatch, settings, database):
    """The settings of a service in order, with a key."""
    monkeypatch.setenv("TSUKIJI_DATA_DIR", str(settings.data.dir))
    monkeypatch.setenv("TSUKIJI_API_PORT", "1")
    if settings.database.url:
        monkeypatch.setenv("TSUKIJI_DATABASE_URL", settings.database.url)
    with database.transaction() as session:
        keys.create(session, "test")
    return monkeypatch


@pytest.fixture
def embedded(monkeypatch, tmp_path):
    monkeypatch.setenv("TSUKIJI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TSUKIJI_API_PORT", "1")
    return monkeypatch


def look():
    return {one.check: one for one in doctor.look()}


def test_all_is_well(environment, capsys):
    assert doctor.main() == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["check"] for one in found] == [
        *("tls", "port", "database", "schema", "store", "clock", "broker", "cache"),
    ]
    assert all(one["ok"] and not one["warning"] for one in found)


def test_a_setting_that_is_malformed(embedded, capsys):
    embedded.setenv("TSUKIJI_JOBS_LEASE_SECONDS", "long")
    assert doctor.main() == 1
    assert "TSUKIJI_JOBS_LEASE_SECONDS" in capsys.readouterr().out


def test_leases_that_end_between_two_beats(embedded):
    embedded.setenv("TSUKIJI_JOBS_LEASE_SECONDS", "12")
    assert not look()["leases"].ok
    embedded.setenv("TSUKIJI_JOBS_LEASE_SECONDS", "30")
    assert "leases" not in look()


def test_open_to_the_network_without_tls(embedded):
    embedded.setenv("TSUKIJI_API_HOST", "0.0.0.0")
    assert "TSUKIJI_API_PROXIES" in look()["tls"].hint
    embedded.setenv("TSUKIJI_API_PROXIES", '["10.0.0.1"]')
    assert look()["tls"].ok


def test_a_port_that_another_program_has(embedded):
    with socket.create_server(("127.0.0.1", 0)) as other:
        embedded.setenv("TSUKIJI_API_PORT", str(other.getsockname()[1]))
        embedded.setattr(doctor, "PORT_SECONDS", 0.2)
        found = look()["port"]
    assert (found.ok, "TSUKIJI_API_PORT" in found.hint) == (False, True)


# --- the database ----------------------------------------------------------------------------------------------------


def test_no_database_yet_is_a_warning_and_none_is_made(embedded, tmp_path):
    found = look()
    assert found["database"].warning
    assert not (tmp_path / "tsukiji.db").exists()


def test_a_database_that_does_not_answer(embedded):
    embedded.setenv("TSUKIJI_DATABASE_URL", "postgresql://tsukiji:secret@127.0.0.1:9/tsukiji")
    found = look()["database"]
    assert (found.ok, "Start the database" in found.hint) == (False, True)
    assert "secret" not in found.detail


@contextmanager
def refusing_postgres(code, message):
    """A server that refuses every client as PostgreSQL does."""
    fields = b"SFATAL\0" + b"C" + code.encode() + b"\0M" + message.encode() + b"\0\0"
    answer = b"E" + (len(fields) + 4).to_bytes(4, "big") + fields

    def serve(listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                if client.recv(8)[4:] in {b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30"}:  # encryption is asked for
                    client.sendall(b"N")
                    client.recv(1024)
                client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield f"postgresql://tsukiji:wrong@127.0.0.1:{listener.getsockname()[1]}/tsukiji?sslmode=disable"


@pytest.mark.parametrize(("code", "message", "hint"), [
    ("28P01", 'password authentication failed for user "tsukiji"', "PGPASSWORD"),
    ("3D000", 'database "tsukiji" does not exist', "createdb"),
])  # fmt: skip
def test_a_database_that_refuses(embedded, code, message, hint):
    with refusing_postgres(code, message) as url:
        embedded.setenv("TSUKIJI_DATABASE_URL", url)
        found = look()["database"]
    assert (found.ok, message in found.detail, hint in found.hint) == (False, True, True)


def test_a_file_that_is_no_database(embedded, tmp_path):
    (tmp_path / "tsukiji.db").write_bytes(b"pictures" * 1000)
    found = look()["database"]
    assert (found.ok, "backup" in found.hint) == (False, True)


def test_a_schema_that_is_older_or_newer_than_the_code(environment, database):
    with database.transaction() as session:
        head = session.scalar(text("SELECT version_num FROM alembic_version"))
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert "python -m db upgrade" in look()["schema"].hint
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    found = look()
    assert "newer" in found["schema"].detail
    assert "clock" not in found, "rows of another schema are not read"
    with database.transaction() as session:
        session.execute(text("DELETE FROM alembic_version"))
    assert "empty" in look()["schema"].detail
    with database.transaction() as session:
        session.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": head})


def test_sqlite_on_a_network_share(embedded, tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nnas:/data {tmp_path} nfs4 rw 0 0\n")
    embedded.setattr(doctor, "MOUNTS", mounts)
    found = look()["database place"]
    assert (found.ok, "nfs4" in found.detail) == (False, True)
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nnas:/data {tmp_path.parent / 'other'} nfs4 rw 0 0\n")
    assert "database place" not in look()


def test_a_clock_that_is_wrong(environment):
    class Ahead(doctor.datetime):
        @classmethod
        def now(cls, tz=None):
            return super().now(tz) + timedelta(seconds=40)

    environment.setattr(doctor, "datetime", Ahead)
    found = look()["clock"]
    assert (found.ok, "NTP" in found.hint) == (False, True)


def test_keys_that_have_all_expired(environment, database):
    with database.transaction() as session:
        session.execute(update(ApiKey).values(expires_at=now(-5)))
    assert "tsukiji keys create" in look()["keys"].hint


def test_two_machines_on_one_embedded_database(environment, database, settings):
    with database.transaction() as session:
        for host in ("a", "b"):
            workers.report(session, f"infer@{host}:1", "infer", "cpu")
    assert ("one service" in look()) == (settings.database.url is None), "PostgreSQL is for several"


# --- store and broker ------------------------------------------------------------------------------------------------


def test_a_store_that_cannot_be_written(embedded, tmp_path):
    (tmp_path / "blobs").write_text("a file")
    found = look()["store"]
    assert (found.ok, "writable" in found.hint) == (False, True)


def test_a_store_that_is_not_the_one_that_the_database_knows(environment, database, settings):
    store = open_store(settings)
    kept = [store.put(f"picture {number}".encode()) for number in range(4)]
    with database.transaction() as session:
        blobs.keep(session, [(blob.sha256, blob.size) for blob in kept])
    assert look()["store"].ok
    environment.setenv("TSUKIJI_STORAGE_URL", f"file://{settings.data.dir}/elsewhere")
    found = look()["store"]
    assert "lacks 4 of the 4" in found.detail
    assert "same TSUKIJI_STORAGE_URL" in found.hint


def test_a_bucket_that_is_missing(embedded, s3_client, s3_endpoint):
    embedded.setenv("TSUKIJI_STORAGE_ENDPOINT_URL", s3_endpoint)
    embedded.setenv("TSUKIJI_STORAGE_URL", "s3://nowhere/tsukiji")
    found = look()["store"]
    assert (found.ok, "create it" in found.hint) == (False, True)
    s3_client.create_bucket(Bucket="nowhere")
    assert look()["store"].ok


@pytest.mark.parametrize(("error", "hint"), [
    ("An error occurred (301) when calling the HeadBucket operation: Moved Permanently", "AWS_DEFAULT_REGION"),
    ("An error occurred (403) when calling the HeadBucket operation: Forbidden", "AWS_SECRET_ACCESS_KEY"),
    ("Could not connect to the endpoint URL", "TSUKIJI_STORAGE_ENDPOINT_URL"),
])  # fmt: skip
def test_what_s3_answers_has_its_way_out(error, hint):
    assert hint in doctor.way_to_store("s3://bucket", OSError(error))


def test_a_broker_that_is_away(embedded):
    embedded.setenv("TSUKIJI_BROKER_URL", "redis://:secret@127.0.0.1:9/0")
    found = look()["broker"]
    assert (found.ok, "TSUKIJI_BROKER_URL" in found.hint) == (False, True)
    assert "secret" not in found.detail


def test_a_broker_that_forgets(embedded, redis_url):
    embedded.setenv("TSUKIJI_BROKER_URL", redis_url)
    with redis.Redis.from_url(redis_url) as client:
        kept = {name: client.config_get(name)[name] for name in ("save", "appendonly", "maxmemory-policy")}
        try:
            client.config_set("save", "")
            client.config_set("appendonly", "no")
            assert "nothing on disk" in look()["broker"].detail
            client.config_set("appendonly", "yes")
            client.config_set("maxmemory-policy", "allkeys-lru")
            assert "evicts" in look()["broker"].detail
            client.config_set("maxmemory-policy", "noeviction")
            assert not look()["broker"].warning
        finally:
            for name, value in kept.items():
                client.config_set(name, value)


def test_a_cache_that_cannot_be_written(embedded, tmp_path):
    (tmp_path / "cache").write_text("a file")
    found = look()["cache"]
    assert (found.ok, "TSUKIJI_STORAGE_CACHE_DIR" in found.hint) == (False, True)


def test_an_openid_provider_that_is_away_or_another_or_of_another_time(embedded):
    embedded.setenv("TSUKIJI_OIDC_CLIENT_ID", "tsukiji")
    with running_provider() as provider:
        embedded.setenv("TSUKIJI_OIDC_ISSUER", provider.url)
        assert look()["provider"].ok
        provider.date = "Mon, 01 Jan 2024 00:00:00 GMT"
        assert "clock differs" in look()["provider"].detail
        provider.documents["/.well-known/openid-configuration"] = {"issuer": "https://id.example"}
        assert "'https://id.example'" in look()["provider"].detail
        provider.statuses["/.well-known/openid-configuration"] = 503
        assert "503" in look()["provider"].detail
    assert not look()["provider"].ok
