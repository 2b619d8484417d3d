import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.tsukiji.client.service import problem


def worker(queue, seconds_ago=1):
    seen = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return {"queue": queue, "worker": "w", "device": "cpu", "seen_at": seen.isoformat()}


@pytest.fixture
def findings(service, run):
    def read():
        result = run("doctor", "--json")
        found = [json.loads(line) for line in result.stdout.splitlines()]
        return result, {finding["check"]: finding for finding in found}

    return read


def test_all_is_well(service, findings):
    workers = [worker("train"), worker("infer"), worker("intake")]
    service.answer("GET", "/v1/info", {"version": "0.1.0", "workers": workers})
    result, found = findings()
    assert result.exit_code == 0
    assert list(found) == ["python", "service", "key", "workers", "disk", "programs"]
    assert all(finding["ok"] for finding in found.values())


def test_a_worker_that_fell_silent_is_none(service, findings):
    workers = [worker("train", 300), worker("infer"), worker("intake")]
    service.answer("GET", "/v1/info", {"version": "0.1.0", "workers": workers})
    result, found = findings()
    assert result.exit_code == 1
    assert not found["workers"]["ok"]
    assert "No worker serves train" in result.stderr


def test_a_wrong_key(service, findings):
    service.answer("GET", "/v1/info", problem(401, "unauthorized", "This key is not known."))
    result, found = findings()
    assert found["service"]["ok"]
    assert found["key"]["detail"] == "This key is not known."
    assert "tsukiji keys create" in result.stderr


def test_no_service(findings, monkeypatch):
    monkeypatch.setenv("TSUKIJI_URL", "http://127.0.0.1:9")
    result, found = findings()
    assert not found["service"]["ok"]
    assert "tsukiji up" in result.stderr
    assert "key" not in found
