"""Rates of requests for each key."""

import pytest

from api.rates import Rates
from tsukiji.kernel.settings import ApiSettings


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def rates(clock):
    return Rates(clock)


def test_the_quota_may_be_used_at_once_and_then_comes_back_evenly(rates, clock):
    assert [rates.take("a", 3).left for _ in range(3)] == [2, 1, 0]
    assert rates.take("a", 3).wait == pytest.approx(20)
    assert rates.take("b", 3).left == 2, "each key has its own"
    clock.now += 20
    assert rates.take("a", 3).wait == 0
    assert rates.take("a", 3).wait == pytest.approx(20), "a refused request uses nothing"
    clock.now += 3600
    assert rates.take("a", 3).left == 2


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
