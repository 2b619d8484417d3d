"""The transport on files, through kombu's own front."""

import errno
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from queue import Empty

import kombu
import pytest

from tsukiji.kernel.queue import create_app
from tsukiji.kernel.settings import BrokerSettings, Settings

PAYLOAD = "x" * 20_000
PRODUCE = """
import sys
from tests.tsukiji.kernel.queue.test_files import connect, produce
produce(connect(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
"""
CONSUME = """
import sys
from tests.tsukiji.kernel.queue.test_files import connect, consume
for name in consume(connect(sys.argv[1]), int(sys.argv[2])):
    print(name)
"""


def connect(folder):
    return create_app(Settings(broker=BrokerSettings(url=f"files://{folder}", poll_seconds=0.01))).connection()


def produce(connection, name, count):
    with connection, connection.SimpleQueue("fish") as queue:
        for number in range(count):
            queue.put({"name": f"{name}-{number}", "payload": PAYLOAD})


def consume(connection, patience=2):
    """Take messages until none has come for `patience` seconds; return their names."""
    names = []
    with connection, connection.SimpleQueue("fish") as queue:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            try:
                message = queue.get(timeout=patience)
            except Empty:
                continue
            assert message.payload["payload"] == PAYLOAD
            names.append(message.payload["name"])
            message.ack()
            deadline = time.monotonic() + patience
    return names


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "queue"


@pytest.fixture
def queue(folder):
    with connect(folder) as connection, connection.SimpleQueue("fish") as queue:
        yield queue


def message_files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.slow
def test_many_producers_and_consumers_lose_nothing_and_double_nothing(folder):
    received = []

    def collect():
        received.extend(consume(connect(folder)))

    def start(program, *arguments):
        command = [sys.executable, "-c", program, str(folder), *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    processes = [start(CONSUME, 2), start(CONSUME, 2), start(PRODUCE, "p0", 150), start(PRODUCE, "p1", 150)]
    threads = [threading.Thread(target=produce, args=(connect(folder), f"t{n}", 100)) for n in range(4)]
    threads += [threading.Thread(target=collect) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        received += process.communicate()[0].split()
        assert process.returncode == 0
    received += consume(connect(folder), patience=0.1)
    sent = [f"p{p}-{n}" for p in range(2) for n in range(150)] + [f"t{t}-{n}" for t in range(4) for n in range(100)]
    assert Counter(received) == Counter(sent)
    assert message_files(folder) == []


def test_order_is_age(queue):
    for number in range(5):
        queue.put(number)
    assert [queue.get(timeout=1).payload for _ in range(5)] == list(range(5))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"{}", b'{"properties": {}}', b"\xff\xfe", b"null"])
def test_a_damaged_message_is_dropped_and_the_next_one_comes(queue, folder, content):
    queue.put("damaged")
    queue.put("whole")
    min(message_files(folder)).write_bytes(content)
    assert queue.get(timeout=1).payload == "whole"
    assert message_files(folder) == []


def test_a_message_that_was_not_acknowledged_comes_back_when_its_taker_leaves(folder):
    with connect(folder) as connection:
        queue = connection.SimpleQueue("fish")
        queue.put("held")
        queue.get(timeout=1)
    with connect(folder) as connection, connection.SimpleQueue("fish") as queue:
        assert queue.get(timeout=1).payload == "held"


def test_size_and_purge(queue, folder):
    for number in range(3):
        queue.put(number)
    assert queue.qsize() == 3
    assert queue.clear() == 3
    assert queue.qsize() == 0
    assert message_files(folder) == []


def test_a_full_disk_is_an_error_and_leaves_nothing(queue, folder, monkeypatch):
    def refuse(path, *_arguments, **_options):
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("tsukiji.kernel.queue.files.Path.write_text", refuse)
        with pytest.raises(OSError, match="No space left"):
            queue.put("lost")
    assert message_files(folder) == []
    queue.put("kept")
    assert queue.get(timeout=1).payload == "kept"


@pytest.mark.parametrize("name", ["../outside", "..", "a/b", "C:evil", "nul\x00"])
def test_no_queue_name_leads_out_of_the_folder(folder, tmp_path, name):
    with connect(folder) as connection:
        connection.default_channel._put(name, {"properties": {}})
        assert connection.default_channel._size(name) == 1
    assert [path.parent.parent for path in message_files(tmp_path)] == [folder]


def test_a_folder_that_cannot_be_made_is_a_connection_error(tmp_path):
    (tmp_path / "file").touch()
    with connect(tmp_path / "file" / "queue") as connection, pytest.raises(kombu.exceptions.OperationalError):
        connection.ensure_connection(max_retries=1, interval_start=0)
