"""Rates of requests for each key."""

import pytest
from starlette.testclient import TestClient

from api.main import create_app
from api.services import Services
from db.session import Database
from tests.api.conftest import RecordedWakeups
from tsukiji.kernel.settings import ApiSettings
from tsukiji.kernel.storage.memory import MemoryStore


@pytest.fixture
def second(settings):
    """A second API process of the same service, as far as a test can be one."""
    made = Services(settings, Database(settings), MemoryStore(), RecordedWakeups())
    with TestClient(create_app(settings, lambda _settings: made), base_url="http://127.0.0.1:8000") as client:
        yield client
    made.database.close()


def test_a_key_over_its_rate_is_told_when_to_come_back(client, start, services):
    made = client.post("/v1/keys", json={"name": "slow", "scopes": ["read"], "requests_per_minute": 2}).json()
    slow = start(made["key"])
    first = slow.get("/v1/datasets")
    assert first.headers["ratelimit-policy"] == '"requests";q=2;w=60'
    assert first.headers["ratelimit"] == '"requests";r=1;t=30'
    slow.get("/v1/datasets")
    refused = slow.get("/v1/datasets")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 29 <= int(refused.headers["retry-after"]) <= 30
    assert refused.headers["ratelimit"].startswith('"requests";r=0;')
    assert "ratelimit" not in client.get("/v1/datasets").headers, "without a rate nothing is counted"


def test_the_setting_is_for_keys_without_a_rate_of_their_own(client, start, services):
    fast = client.post("/v1/keys", json={"name": "fast", "requests_per_minute": 1000}).json()["key"]
    services.settings = services.settings.model_copy(update={"api": ApiSettings(requests_per_minute=1)})
    assert client.get("/v1/info").status_code == 200
    assert client.get("/v1/info").status_code == 429
    assert [start(fast).get("/v1/info").status_code for _ in range(3)] == [200] * 3


def test_api_processes_share_one_rate(client, start, second):
    made = client.post("/v1/keys", json={"name": "slow", "scopes": ["read"], "requests_per_minute": 3}).json()
    slow = start(made["key"])
    second.headers.update(slow.headers)
    answers = [one.get("/v1/datasets") for one in (slow, second, slow)]
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0"]
    for one in (second, slow):
        refused = one.get("/v1/datasets")
        assert refused.status_code == 429
        assert 18 <= int(refused.headers["retry-after"]) <= 20
