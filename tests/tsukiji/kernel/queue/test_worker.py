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

from devtools.servers import wait_until
from tsukiji.jobs import Queue
from tsukiji.kernel.queue import WORKER_OPTIONS, Notifier, create_app, task_name
from tsukiji.kernel.settings import BrokerSettings, JobSettings, Settings

KILLED_AFTER_SECONDS = 2 * JobSettings().stop_seconds
"""The supervisor kills what takes longer to stop."""

pytestmark = pytest.mark.slow


@pytest.fixture(params=["files", "redis", "rabbitmq"])
def url(request, tmp_path):
    return (
        f"files://{tmp_path / 'queue'}" if request.param == "files" else request.getfixturevalue(f"{request.param}_url")
    )


@pytest.fixture
def notifier(url):
    """To the test's broker, which holds nothing that an earlier test left."""
    app = create_app(Settings(broker=BrokerSettings(url=url)))
    app.control.purge()
    return Notifier(app)


class Notes:
    def __init__(self, path):
        self.path = path

    def instruct(self, word):
        self.path.with_name("command").write_text(word)

    def lines(self):
        return self.path.read_text().splitlines() if self.path.exists() else []


@pytest.fixture
def notes(tmp_path):
    return Notes(tmp_path / "notes")


@contextmanager
def running_worker(url, notes, pool):
    queues = ",".join(map(task_name, Queue))
    command = [sys.executable, "-m", "celery", "-A", "tests.tsukiji.kernel.queue.worker_app", "worker", "-Q", queues]
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
def test_every_bell_is_heard_once_and_the_worker_stops_quickly(url, notifier, notes, pool):
    assert notifier.notify(Queue.TRAIN), "before the worker has started"
    with running_worker(url, notes, pool) as process:
        assert all(notifier.notify(queue, 20) for queue in Queue)
        expected = Counter(dict.fromkeys(map(str, Queue), 20)) + Counter(["train"])
        wait_until(lambda: len(notes.lines()) >= expected.total())
        seconds, status = stop(process)
    assert Counter(notes.lines()) == expected
    assert status == 0
    assert seconds < KILLED_AFTER_SECONDS


def test_a_task_rings_another_bell_from_a_forked_process(url, notifier, notes):
    notes.instruct("notify infer")
    assert notifier.notify(Queue.INTAKE)
    with running_worker(url, notes, "prefork"):
        assert wait_until(lambda: len(notes.lines()) >= 2)
    assert notes.lines() == ["intake", "infer"]


def test_a_worker_that_is_stopped_finishes_its_task_and_leaves_the_others(url, notifier, notes):
    notes.instruct("slow")
    with running_worker(url, notes, "solo") as process:
        assert notifier.notify(Queue.INFER)
        assert wait_until(lambda: notes.lines() == ["infer"])
        assert notifier.notify(Queue.TRAIN)
        stop(process)
    with running_worker(url, notes, "solo"):
        assert wait_until(lambda: len(notes.lines()) >= 2)
    assert notes.lines() == ["infer", "train"]


def test_a_worker_logs_in_our_format(tmp_path, notes):
    url = f"files://{tmp_path / 'queue'}"
    Notifier(create_app(Settings(broker=BrokerSettings(url=url)))).notify(Queue.INFER)
    with running_worker(url, notes, "solo") as process:
        assert wait_until(lambda: len(notes.lines()) == 1)
        stop(process)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {line["program"] for line in lines} == {"worker"}
    assert len({line["event"] for line in lines if "succeeded" in line["event"]}) == 1
