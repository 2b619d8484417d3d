"""Real `celery worker` processes on every broker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager

import pytest

from tests.services import wait_until
from tsukiji.jobs import Queue, Task
from tsukiji.queue import WORKER_OPTIONS, Wakeups, create_app
from tsukiji.settings import BrokerSettings, JobSettings, Settings

KILLED_AFTER_SECONDS = 2 * JobSettings().stop_seconds
"""The supervisor kills what takes longer to stop."""

pytestmark = pytest.mark.slow


@pytest.fixture(params=["files", "redis", "rabbitmq"])
def url(request, tmp_path):
    return (
        f"files://{tmp_path / 'queue'}" if request.param == "files" else request.getfixturevalue(f"{request.param}_url")
    )


@pytest.fixture
def wakeups(url):
    """To the test's broker, which holds nothing that an earlier test left."""
    app = create_app(Settings(broker=BrokerSettings(url=url)))
    app.control.purge()
    return Wakeups(app)


class Notes:
    def __init__(self, path):
        self.path = path

    def lines(self):
        return self.path.read_text().splitlines() if self.path.exists() else []


@pytest.fixture
def notes(tmp_path):
    return Notes(tmp_path / "notes")


@contextmanager
def running_worker(url, notes, pool):
    queues = ",".join(Queue)
    command = [sys.executable, "-m", "celery", "-A", "tests.tsukiji.queue.worker_app", "worker", "-Q", queues]
    environment = {**os.environ, "TSUKIJI_BROKER_URL": url, "NOTES": str(notes.path), "TSUKIJI_LOG_FORMAT": "json"}
    with notes.path.with_name("log").open("w") as output:
        process = subprocess.Popen([*command, "-P", pool, "-c", "1", *WORKER_OPTIONS], env=environment, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stop(process):
    """Return the seconds it took, and the exit status."""
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    status = process.wait(10)
    return time.monotonic() - start, status


@pytest.mark.parametrize("pool", ["solo", "prefork"])
def test_every_task_arrives_once_and_the_worker_stops_quickly(url, wakeups, notes, pool):
    assert wakeups.send(Task.TRAINING, "sent before the worker started")
    with running_worker(url, notes, pool) as process:
        sent = [(task, f"{task}-{number}") for number in range(10) for task in Task]
        for task, row_id in sent:
            assert wakeups.send(task, row_id)
        expected = Counter(f"{task} {row_id}" for task, row_id in sent)
        expected["training.run sent before the worker started"] = 1
        wait_until(lambda: len(notes.lines()) >= expected.total())
        seconds, status = stop(process)
    assert Counter(notes.lines()) == expected
    assert status == 0
    assert seconds < KILLED_AFTER_SECONDS


def test_a_task_wakes_another_from_a_forked_process(url, wakeups, notes):
    assert wakeups.send(Task.BATCH, "plan")
    with running_worker(url, notes, "prefork"):
        assert wait_until(lambda: len(notes.lines()) >= 2)
    assert notes.lines() == ["batch.plan plan", "chunk.run planned"]


def test_a_worker_that_is_stopped_finishes_its_task_and_leaves_the_others(url, wakeups, notes):
    with running_worker(url, notes, "solo") as process:
        assert wakeups.send(Task.CHUNK, "slow")
        assert wait_until(lambda: notes.lines() == ["chunk.run slow"])
        assert wakeups.send(Task.CHUNK, "next")
        stop(process)
    with running_worker(url, notes, "solo"):
        assert wait_until(lambda: len(notes.lines()) >= 2)
    assert notes.lines() == ["chunk.run slow", "chunk.run next"]


def test_more_urgent_tasks_come_first(url, wakeups, notes):
    for number, priority in enumerate([0, 0, 9, 3, 0]):
        assert wakeups.send(Task.CHUNK, str(number), priority=priority)
    with running_worker(url, notes, "solo"):
        wait_until(lambda: len(notes.lines()) >= 5)
    assert [line.split()[1] for line in notes.lines()] == ["2", "3", "0", "1", "4"]


def test_a_worker_logs_in_our_format(tmp_path, notes):
    url = f"files://{tmp_path / 'queue'}"
    Wakeups(create_app(Settings(broker=BrokerSettings(url=url)))).send(Task.CHUNK, "a")
    with running_worker(url, notes, "solo") as process:
        assert wait_until(lambda: len(notes.lines()) == 1)
        stop(process)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {line["program"] for line in lines} == {"worker"}
    assert len({line["event"] for line in lines if "succeeded" in line["event"]}) == 1
