"""Sending, above all where the broker is slow, frozen or gone."""

import os
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs

from devtools.servers import free_port, ping_redis, wait_until
from tsukiji.errors import BrokerUnavailable, Invalid
from tsukiji.jobs import Queue
from tsukiji.kernel.queue import Notifier, create_app, task_name
from tsukiji.kernel.settings import BrokerSettings, DataSettings, Settings

WORST_SECONDS = 3  # two, and some air for a busy machine


def wakeups_at(url):
    return Notifier(create_app(Settings(broker=BrokerSettings(url=url))))


def timed(call):
    start = time.monotonic()
    return call(), time.monotonic() - start


@pytest.fixture
def closed_port():
    return free_port()


@pytest.fixture
def silent_port():
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(params=["redis://127.0.0.1:{}/0", "amqp://guest:guest@127.0.0.1:{}//"])
def template(request):
    return request.param


def test_a_broker_that_is_gone_costs_one_caller_little_and_the_others_nothing(template, closed_port):
    notifier = wakeups_at(template.format(closed_port))
    with capture_logs() as logs:
        sent, seconds = timed(lambda: notifier.notify(Queue.INFER))
        again, seconds_again = timed(lambda: [notifier.notify(Queue.INFER) for _ in range(100)])
    assert not sent
    assert seconds < WORST_SECONDS
    assert not any(again)
    assert seconds_again < 0.1
    assert [(line["event"], line["queue"]) for line in logs] == [("wakeup_failed", "infer")]


def test_a_broker_that_never_answers_holds_no_thread_for_long(template, silent_port):
    notifier = wakeups_at(template.format(silent_port))

    def notify(_number):
        return timed(lambda: notifier.notify(Queue.INFER))

    with capture_logs(), ThreadPoolExecutor(16) as threads:
        results = list(threads.map(notify, range(16)))
    assert not any(sent for sent, _ in results)
    assert max(seconds for _, seconds in results) < WORST_SECONDS


def test_check_names_a_broker_that_is_gone_or_silent(template, closed_port, silent_port):
    for port in (closed_port, silent_port):
        start = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            wakeups_at(template.format(port)).check()
        assert time.monotonic() - start < WORST_SECONDS


@pytest.mark.parametrize("server", ["redis_url", "rabbitmq_url"])
def test_a_broker_that_is_there_takes_it(request, server):
    notifier = wakeups_at(request.getfixturevalue(server))
    notifier.check()
    assert notifier.notify(Queue.INFER)


@pytest.fixture
def redis_process():
    """A Redis of the test's own, to be frozen and killed."""
    binary = shutil.which("redis-server")
    if not binary:
        pytest.skip("redis-server is not installed")
    port = free_port()

    def start():
        process = subprocess.Popen([binary, "--port", str(port), "--save", ""], stdout=subprocess.DEVNULL)
        assert wait_until(lambda: ping_redis(f"redis://127.0.0.1:{port}/0"))
        started.append(process)
        return process

    started = []
    yield port, start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_frozen_broker_on_an_open_connection_lets_go(redis_process):
    port, start = redis_process
    process = start()
    notifier = wakeups_at(f"redis://127.0.0.1:{port}/0")
    assert notifier.notify(Queue.INFER)
    os.kill(process.pid, signal.SIGSTOP)
    with capture_logs():
        sent, seconds = timed(lambda: notifier.notify(Queue.INFER))
    assert not sent
    assert seconds < WORST_SECONDS


@pytest.mark.slow
def test_a_broker_that_was_restarted_is_found_again(redis_process):
    port, start = redis_process
    process = start()
    notifier = wakeups_at(f"redis://127.0.0.1:{port}/0")
    assert notifier.notify(Queue.INFER)
    process.kill()
    process.wait()
    start()
    assert notifier.notify(Queue.INFER)


def test_files_are_the_default(tmp_path):
    settings = Settings(data=DataSettings(dir=tmp_path))
    notifier = Notifier(create_app(settings))
    notifier.check()
    assert all(notifier.notify(queue, 2) for queue in Queue)
    folders = [path.parent.name for path in (tmp_path / "queue").rglob("*.msg")]
    assert sorted(folders) == sorted(2 * [f"q-{task_name(queue)}" for queue in Queue])


def test_threads_send_on_one_connection(tmp_path):
    notifier = wakeups_at(f"files://{tmp_path}")
    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(lambda _: notifier.notify(Queue.INFER), range(200)))
    assert len(list(tmp_path.rglob("*.msg"))) == 200


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").touch()
    notifier = wakeups_at(f"files://{tmp_path / 'file' / 'queue'}")
    with pytest.raises(BrokerUnavailable):
        notifier.check()
    with capture_logs():
        assert not notifier.notify(Queue.INFER)


@pytest.mark.parametrize("url", ["filesystem://", "memory://", "sqla+sqlite:///x", "localhost"])
def test_a_broker_that_we_do_not_know_is_refused(url):
    with pytest.raises(Invalid) as caught:
        wakeups_at(url)
    assert "redis://" in caught.value.hint
