"""Webhooks while receivers are down, slow, silent or answer 500, and the dispatcher is killed again and again.

Jobs end in an embedded database; a real dispatcher tells five receivers, which verify each signature. Time is
compressed: `--hour` is how many seconds stand for the hour in which receivers fail, and the pauses between attempts
shrink alike. `events` counts each end of a job once for each receiver. `lost_by_one_attempt` is the peer: what a sender
loses that tries once and keeps nothing. `memory_growth`: peak of the dispatchers over what the first one had after its
first deliveries.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from bench.report import parse, show
from db import webhooks
from db.jobs import jobs
from db.paging import Window
from db.session import Database
from db.upgrade import upgrade
from devtools.receiver import Receiver, receiving
from tsukiji.errors import InternalError
from tsukiji.jobs import JobKind
from tsukiji.kernel.settings import DataSettings, Settings, WebhookSettings

HOUR: Final = 3600
TIMEOUT_SECONDS: Final = 1.0
SLOW_SECONDS: Final = 0.1
WARM: Final = 20
PATIENCE: Final = 600
JOB: Final = {"dataset": "dst_1"}


class Dispatcher:
    """The program, killed every few seconds; its memory is looked at all the time."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self.kills = 0
        self.peak = 0
        self._start()
        threading.Thread(target=self._look, daemon=True).start()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "worker", "dispatcher"],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def memory(self) -> int:
        try:
            return int(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return 0

    def _look(self) -> None:
        while True:
            self.peak = max(self.peak, self.memory())
            time.sleep(0.1)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills += 1
        self._start()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


class Failing:
    """How receivers behave: some fail until the outage is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def quick(self, _receiver: Receiver) -> int:
        return 204

    def slow(self, _receiver: Receiver) -> int:
        time.sleep(SLOW_SECONDS)
        return 204

    def broken(self, _receiver: Receiver) -> int:
        return 204 if self.over.is_set() else 500

    def silent(self, _receiver: Receiver) -> int:
        if not self.over.is_set():
            time.sleep(3 * TIMEOUT_SECONDS)
        return 204


@contextmanager
def receivers(failing: Failing) -> Iterator[dict[str, Receiver]]:
    """Run them; the one that is down is not listening until the outage is over."""
    with ExitStack() as opened:
        kinds = (failing.quick, failing.slow, failing.broken, failing.silent)
        found = {kind.__name__: opened.enter_context(receiving(kind)) for kind in kinds}
        with receiving() as down:
            port = int(down.url.rpartition(":")[2].partition("/")[0])
        found["down"] = down

        def come_up() -> None:
            failing.over.wait()
            late = opened.enter_context(receiving(port=port))
            late.secrets, late.messages, late.requests = down.secrets, down.messages, down.requests

        threading.Thread(target=come_up, daemon=True).start()
        yield found


def main() -> None:
    parser = parse(__doc__)
    parser.add_argument("--jobs", type=int, default=2000, help="jobs that end")
    parser.add_argument("--hour", type=float, default=30, help="seconds that stand for an hour")
    options = parser.parse_args()
    count, hour = (100, 12) if options.quick else (options.jobs, options.hour)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), count, hour)
    show("webhooks", figures, as_json=options.json)


def measure(folder: Path, count: int, hour: float) -> dict[str, Any]:
    retry = [round(pause * hour / HOUR, 3) for pause in WebhookSettings().retry_seconds]
    settings = Settings(data=DataSettings(dir=folder))
    upgrade(settings)
    database = Database(settings)
    environment = os.environ | {
        "TSUKIJI_DATA_DIR": str(folder),
        "TSUKIJI_JOBS_TICK_SECONDS": "0.2",
        "TSUKIJI_WEBHOOKS_HOSTS": '["127.0.0.1"]',
        "TSUKIJI_WEBHOOKS_SECONDS": str(TIMEOUT_SECONDS),
        "TSUKIJI_WEBHOOKS_RETRY_SECONDS": str(retry),
    }
    failing = Failing()
    with receivers(failing) as found:
        hooks = {name: subscribe(database, receiver) for name, receiver in found.items()}
        dispatcher = Dispatcher(environment)
        warm = warm_up(database, hooks["quick"], found["quick"], dispatcher)
        began = time.monotonic()
        threading.Thread(target=endure, args=(dispatcher, failing, hour), daemon=True).start()
        ended = {end_a_job(database) for _ in range(count)}
        wait_for_all(found, ended)
        seconds = time.monotonic() - began
        dispatcher.stop()
    told = {name: {message["data"].get("id") for message in one.messages.values()} for name, one in found.items()}
    events = count * len(found)
    delivered = sum(len(ended & ids) for ids in told.values())
    figures = {
        "events": events,
        "delivered": delivered,
        "lost": events - delivered,
        "memory_growth": dispatcher.peak / warm - 1,
        "lost_by_one_attempt": failed_at_first(database, hooks),
        "repeated": sum(len(one.requests) - len(set(one.requests)) for one in found.values()),
        "forged": sum(one.forged for one in found.values()),
        "dispatchers_killed": dispatcher.kills,
        "memory_mb": dispatcher.peak / 2**20,
        "seconds": seconds,
        "hour_seconds": hour,
        "runs": 1,
        "seeds": [],
    }
    database.close()
    return figures


def subscribe(database: Database, receiver: Receiver) -> str:
    with database.transaction() as session:
        hook = webhooks.create(session, receiver.url, ["*"])
    receiver.secrets = [hook.secret]
    return hook.id


def warm_up(database: Database, hook: str, receiver: Receiver, dispatcher: Dispatcher) -> int:
    """Send some events; returns the bytes that the dispatcher then has."""
    with database.transaction() as session:
        for _ in range(WARM):
            webhooks.queue(session, [hook], "webhook.test", {})
    receiver.wait(WARM, PATIENCE)
    return dispatcher.memory()


def endure(dispatcher: Dispatcher, failing: Failing, hour: float) -> None:
    """Let receivers fail for an hour, in which the dispatcher is killed three times."""
    for _ in range(3):
        time.sleep(hour / 3)
        dispatcher.kill()
    failing.over.set()


def end_a_job(database: Database) -> str:
    with database.transaction() as session:
        job = jobs.create(session, JobKind.IMPORT, request=JOB, max_attempts=3)
        jobs.fail(session, job.id, InternalError("It broke."))
    return job.id


def wait_for_all(found: dict[str, Receiver], ended: set[str]) -> None:
    """Wait until every receiver has taken every event, or nothing has come for long."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and any(len(one.messages) < len(ended) for one in found.values()):
        time.sleep(0.2)


def failed_at_first(database: Database, hooks: dict[str, str]) -> int:
    """Return how many deliveries needed more than their first attempt."""
    count = 0
    for hook in hooks.values():
        cursor: str | None = ""
        while cursor is not None:
            with database.reading() as session:
                page = webhooks.page_deliveries(session, hook, Window(200, cursor or None))
            count += sum(row.attempt > 1 for row in page.data)
            cursor = page.next_cursor
    return count


if __name__ == "__main__":
    main()
