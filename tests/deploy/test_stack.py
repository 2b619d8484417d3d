"""The services' own commands, run natively against a PostgreSQL and a Redis, do the main job and stop in order."""

import pytest

from devtools import servers
from devtools.journey import run_journey
from tests.conftest import required
from tests.deploy.stack import Stack
from tsukiji import Client


@pytest.fixture
def stack(tmp_path):
    with required(servers.postgres_database()) as database_url, required(servers.redis_server()) as broker_url:
        variables = {
            "POSTGRES_PASSWORD": "chosen",
            "TSUKIJI_DATABASE_URL": database_url,
            "TSUKIJI_BROKER_URL": broker_url,
        }
        with Stack(tmp_path, variables) as stack:
            yield stack


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_services_do_the_main_job_and_stop(stack, tmp_path):
    stack.start()
    made = stack.programs["api"].run(["python", "-m", "db", "keys", "create"])
    assert made.returncode == 0, made.stderr
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    with Client(stack.url, made.stdout.strip()) as client:
        run_journey(client, pictures)
        queues = {worker.queue for worker in client.info().workers}
    assert queues == {"train", "infer", "intake", "dispatcher"}

    statuses = stack.stop()
    assert statuses == dict.fromkeys(["api", "worker-train", "worker-infer", "worker-intake", "dispatcher"], 0), (
        stack.tails()
    )
    assert stack.survivors() == []
    assert not stack.programs["api"].check(), "a front that has gone is not healthy"
    assert list(stack.home.iterdir()) == [], "the containers' root is read-only: nothing is written outside the volumes"
