from db import keys
from db.models import ApiKey


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
