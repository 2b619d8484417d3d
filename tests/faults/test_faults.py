"""A short run of `bench.faults` on each stack: whatever dies, every promise is kept once."""

import pytest

from bench.faults import run
from devtools import servers
from tests.conftest import required

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SEEDS = {"embedded": 59, "servers": 428, "rabbitmq": 2424}
"""They deal a killed worker, a locked store and, where there are any, restarted servers before all else."""
MINUTES = {"embedded": 0.35, "servers": 0.35, "rabbitmq": 0.25}
SERVICES = {
    "embedded": [],
    "servers": [servers.postgres_database, servers.redis_server],
    "rabbitmq": [servers.postgres_database, servers.rabbitmq_server],
}
PROMISES = ("lost", "twice", "stuck", "wrong", "given_up", "deaf")


@pytest.mark.parametrize("stack", MINUTES)
def test_keeps_every_promise_under_faults(stack):
    for service in SERVICES[stack]:
        with required(service()):
            pass
    figures, broken = run(stack, MINUTES[stack], SEEDS[stack])
    assert broken == []
    assert {name: figures[name] for name in PROMISES} == dict.fromkeys(PROMISES, 0)
    assert figures["finished"] == figures["accepted"]
    assert figures["kills"] > 0
