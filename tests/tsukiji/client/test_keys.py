from datetime import UTC, datetime

from devtools.scripted_service import NOW, page

KEY = {"object": "key", "id": "key_1", "name": "camera", "prefix": "tsk_abcd", "created_at": NOW, "scopes": ["predict"]}
ENTRY = {
    "object": "audit_entry",
    "id": 7,
    "at": NOW,
    "key_id": "key_1",
    "name": "camera",
    "act": "create_dataset",
    "subject": "ds_1",
    "address": "POST /v1/datasets",
    "client": "10.0.0.1",
}


def test_a_key_is_created_with_what_it_may(client, service):
    service.answer("POST", "/v1/keys", KEY | {"key": "tsk_secret"})
    made = client.keys.create("camera", scopes=["predict"], models=["production"], expires_in_days=30)
    assert made.key == "tsk_secret"
    sent = service.asked[0].json
    assert (sent["scopes"], sent["models"], sent["datasets"], sent["expires_in_days"]) == (
        ["predict"],
        ["production"],
        [],
        30,
    )


def test_a_key_is_rotated_and_shown(client, service):
    service.answer("POST", "/v1/keys/key_1/rotate", KEY | {"key": "tsk_second", "old_expires_at": NOW})
    service.answer("GET", "/v1/keys/self", KEY)
    assert client.keys.rotate("key_1", overlap_hours=1).key == "tsk_second"
    assert service.asked[0].json == {"overlap_hours": 1}
    assert client.keys.get_own().scopes == ["predict"]


def test_a_link_for_another_key(client, service):
    service.answer("POST", "/v1/sign-in-links", {"path": "/sign-in/link?token=t", "expires_at": NOW})
    assert client.create_sign_in_link("key_1").path == "/sign-in/link?token=t"
    assert service.asked[0].json == {"key": "key_1"}


def test_the_audit_log_is_listed(client, service):
    service.answer("GET", "/v1/audit", page(ENTRY))
    since = datetime(2026, 11, 1, tzinfo=UTC)
    (entry,) = client.audit.list(act="create_dataset", subject="ds_1", since=since)
    assert (entry.act, entry.subject, entry.client) == ("create_dataset", "ds_1", "10.0.0.1")
    assert service.asked[0].query["since"] == ["2026-11-01T00:00:00+00:00"]
