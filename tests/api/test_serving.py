"""The API program: it announces itself, serves, and stops when told to, regardless of open connections."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import httpx2
import pytest

from db import keys
from db.jobs import jobs
from db.session import Database
from devtools.servers import wait_until
from tests.requests import BLANK
from tsukiji.jobs import JobKind

pytestmark = pytest.mark.slow


@pytest.fixture
def settings_with_job(settings):
    database = Database(settings)
    with database.transaction() as session:
        key = keys.create(session, "tests")[1]
        job = jobs.create(session, JobKind.TRAINING, request=BLANK[JobKind.TRAINING], max_attempts=3).id
    database.close()
    return settings, key, job


@pytest.fixture
def program(settings_with_job, tmp_path):
    """Start the program on a free port; gives the process and its address."""
    settings, _, _ = settings_with_job
    announced = tmp_path / "api.json"
    environment = os.environ | {"TSUKIJI_DATA_DIR": str(settings.data.dir), "TSUKIJI_LOG_FORMAT": "json"}
    command = [sys.executable, "-m", "api", "--port", "0", "--announce", str(announced), "--watch-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert wait_until(lambda: announced.exists() or process.poll() is not None)
        assert process.poll() is None, process.stderr.read().decode()
        yield process, json.loads(announced.read_text())["url"]
        process.kill()


@pytest.fixture
def held(program, settings_with_job):
    """Hold two connections open: a stream of events, and a long poll."""
    _, url = program
    _, key, job = settings_with_job
    heard = []

    def listen():
        with client.stream("GET", f"/v1/jobs/{job}/events") as answer:
            heard.extend(answer.iter_lines())

    def poll():
        heard.append(client.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=50"}).status_code)

    with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        threads = [threading.Thread(target=target) for target in (listen, poll)]
        for thread in threads:
            thread.start()
        assert wait_until(lambda: heard)
        yield
        for thread in threads:
            thread.join()
        assert 200 in heard


def seconds_to_end(process):
    started = time.monotonic()
    assert process.wait(20) == 0
    return time.monotonic() - started


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_though_connections_are_held(program, held, number):
    process, _ = program
    process.send_signal(number)
    assert seconds_to_end(process) < 6


def test_it_goes_with_whoever_started_it(program, held):
    process, url = program
    assert httpx2.get(f"{url}/readyz").json()["status"] == "ready"
    process.stdin.close()
    assert seconds_to_end(process) < 6
