import json
from datetime import UTC, datetime

from sqlalchemy import select, text

import db.__main__ as program
from db import keys
from db.models import ApiKey, AuditEntry
from db.upgrade import downgrade, upgrade


def test_a_key_is_verified_and_not_kept_in_the_clear(session):
    key, secret = keys.create(session, "lab")
    assert keys.verify(session, secret) is key
    stored = session.get_one(ApiKey, key.id)
    assert secret not in {stored.hash, stored.prefix, stored.name}
    assert secret.startswith(stored.prefix)


def test_wrong_malformed_and_revoked_keys_are_nobody(session):
    key, secret = keys.create(session, "lab")
    for wrong in (
        "",
        "tsk_",
        secret[:-1],
        secret[:-1] + ("a" if secret[-1] != "a" else "b"),
        "x" + secret,
        keys.make_secret(),
    ):
        assert keys.verify(session, wrong) is None
    keys.revoke(session, key.prefix)
    assert keys.verify(session, secret) is None


def test_revoking_a_key_signs_its_pages_out(session):
    key, _ = keys.create(session, "lab")
    token = keys.sign_in(session, key.id, hours=1)
    session.flush()
    assert keys.signed_in(session, token) is key
    assert keys.signed_in(session, "other") is None
    keys.revoke(session, key.id)
    assert keys.signed_in(session, token) is None


def test_a_page_session_ends(session):
    key, _ = keys.create(session, "lab")
    token = keys.sign_in(session, key.id, hours=-1)
    session.flush()
    assert keys.signed_in(session, token) is None


def run(settings, monkeypatch, capsys, *arguments):
    """Run `python -m db keys` on the settings of the test; returns what it prints."""
    monkeypatch.setattr(program, "load", lambda: settings)
    assert program.main(["keys", *arguments, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_command_makes_a_key_with_scopes_rotates_it_and_is_in_the_audit_log(
    database, settings, monkeypatch, capsys
):
    (made,) = run(settings, monkeypatch, capsys, "create", "--name", "ci", "--scope", "read", "--expires", "30")
    (turned,) = run(settings, monkeypatch, capsys, "rotate", made["id"], "--overlap-hours", "2")
    assert turned["key"] != made["key"]
    with database.reading() as session:
        assert {keys.verify(session, row["key"]).id for row in (made, turned)} == {made["id"]}
    listed = next(row for row in run(settings, monkeypatch, capsys, "ls") if row["id"] == made["id"])
    assert (listed["scopes"], bool(listed["expires_at"]), bool(listed["old_expires_at"])) == (["read"], True, True)
    with database.reading() as session:
        acts = [
            (row.act, row.key_id, row.address) for row in session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        ]
    assert acts == [("create_key", None, "python -m db"), ("rotate_key", None, "python -m db")]


def test_the_command_refuses_an_administrator_that_is_bound(settings, monkeypatch, capsys):
    monkeypatch.setattr(program, "load", lambda: settings)
    assert program.main(["keys", "create", "--scope", "admin", "--dataset", "x"]) == 4
    assert "cannot be bound" in capsys.readouterr().err


def test_keys_from_before_scopes_keep_all_rights(database, settings):
    downgrade(settings, "0018")
    insert = "INSERT INTO api_keys (id, name, prefix, hash, created_at) VALUES ('key_old', 'old', 'tsk_old', 'h', :now)"
    with database.transaction() as session:
        session.execute(text(insert), {"now": datetime.now(UTC).replace(tzinfo=None)})
    upgrade(settings)
    with database.reading() as session:
        old = session.get_one(ApiKey, "key_old")
    assert (old.scopes, old.datasets, old.models, old.expires_at) == (["admin"], [], [], None)
