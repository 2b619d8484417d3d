import pytest

from db.curation import datasets
from db.jobs import idempotency
from tsukiji.errors import IdempotencyKeyReused


def test_the_same_request_makes_one_thing(session):
    scope = idempotency.scope_of("key", "POST", "/v1/datasets", "abc")
    made = [idempotency.once(session, scope, "same", lambda: datasets.create(session, "pets").id) for _ in range(3)]
    assert [replay for _, replay in made] == [False, True, True]
    assert len({resource for resource, _ in made}) == 1


def test_another_payload_under_the_same_key_is_refused(session):
    idempotency.once(session, "scope", "one", lambda: "x")
    with pytest.raises(IdempotencyKeyReused):
        idempotency.once(session, "scope", "two", lambda: "y")


def test_a_failed_request_leaves_the_key_free(database):
    with pytest.raises(ZeroDivisionError), database.transaction() as session:
        idempotency.once(session, "scope", "one", lambda: str(1 / 0))
    with database.transaction() as session:
        assert idempotency.once(session, "scope", "one", lambda: "x") == ("x", False)
