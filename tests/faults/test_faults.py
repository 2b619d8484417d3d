"""`bench.faults` on each stack: whatever dies, every promise is kept once."""

import os
import secrets

import pytest

from bench.faults import run
from devtools import servers
from tests.conftest import required

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SEEDS = {"embedded": 59, "servers": 428, "rabbitmq": 2424}
"""They deal a killed worker, a locked store and, where there are any, restarted servers before all else."""
MINUTES = {"embedded": 0.25, "servers": 0.25}
LONG_MINUTES = {"embedded": 1.0, "servers": 1.0, "rabbitmq": 0.5}
SERVICES = {
    "embedded": [],
    "servers": [servers.postgres_database, servers.redis_server],
    "rabbitmq": [servers.postgres_database, servers.rabbitmq_server],
}
PROMISES = ("lost", "twice", "stuck", "wrong", "given_up", "deaf")


@pytest.mark.parametrize("stack", MINUTES)
def test_keeps_every_promise_under_faults(stack):
    check_promises(stack, MINUTES[stack], SEEDS[stack])


@pytest.mark.long
@pytest.mark.parametrize("stack", LONG_MINUTES)
def test_keeps_every_promise_under_faults_for_longer(stack, record_property):
    seed = secrets.randbelow(10_000)
    record_property("seed", seed)
    check_promises(stack, LONG_MINUTES[stack], seed)


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="disks are mounted, and links cut, by root alone")
@pytest.mark.parametrize("stack", MINUTES)
def test_keeps_every_promise_when_machines_fail(stack, record_property):
    seed = secrets.randbelow(10_000)
    record_property("seed", seed)
    check_promises(stack, LONG_MINUTES[stack], seed, rough=True)


def check_promises(stack, minutes, seed, *, rough=False):
    for service in SERVICES[stack]:
        with required(service()):
            pass
    figures, broken = run(stack, minutes, seed, rough=rough)
    assert broken == []
    assert {name: figures[name] for name in PROMISES} == dict.fromkeys(PROMISES, 0)
    assert figures["finished"] == figures["accepted"]
    assert figures["kills"] > 0
