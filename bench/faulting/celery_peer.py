"""The peer of `bench.faults --stack celery` or `celery-rabbitmq`: plain Celery workers under the same faults."""

import random
import signal
import sqlite3
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from kombu.exceptions import KombuError

from bench.faulting import celery_app
from bench.faulting.programs import STOP_SECONDS, Program, send
from bench.faulting.schedule import FREEZE_SECONDS

WORKERS: Final = 2
AT_ONCE: Final = 4
SHORT_SECONDS: Final = (0.3, 4.0)
LONG_SECONDS: Final = (8.0, 16.0)
"""Durations like those of chunks and trainings; one task in six is long."""
PAUSE_SECONDS: Final = 0.3


class PeerWorker(Program):
    @property
    def command(self) -> list[str]:
        options = ["--pool", "prefork", "--concurrency", "1", "--hostname", self.worker, "--loglevel", "warning"]
        return [sys.executable, "-m", "celery", "--app", "bench.faulting.celery_app", "worker", *options]


class Peer:
    def __init__(self, folder: Path, url: str, lease: float, seed: int, environment: dict[str, str]) -> None:
        self.accepted: list[str] = []
        self.kills = 0
        self._rows = folder / "peer.db"
        self._lease = lease
        self._chance = random.Random(f"{seed}-peer")
        self._undo: list[tuple[float, Callable[[], None]]] = []
        self._stop = threading.Event()
        places = {"PEER_URL": url, "PEER_TIMEOUT": str(lease), "PEER_ROWS": str(self._rows)}
        logs = [folder / f"peer{number}.log" for number in range(WORKERS)]
        self._programs = [PeerWorker("celery", number, environment | places, log) for number, log in enumerate(logs)]
        celery_app.app.conf.update(**celery_app.options(url, lease))
        self._thread = threading.Thread(target=self._submit, daemon=True)

    def start(self) -> None:
        with closing(sqlite3.connect(self._rows)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(celery_app.TABLE)
        for program in self._programs:
            program.start()
        self._thread.start()

    def meet(self, fault: str) -> None:
        """Apply to a Celery worker the fault applied to one of ours; faults of Redis affect both."""
        there = [program for program in self._programs if program.tree and not program.frozen]
        if not there:
            return
        program = self._chance.choice(there)
        match fault:
            case "kill_worker":
                program.kill()
                self.kills += 1
            case "kill_child":
                send(signal.SIGKILL, program.children[:1])
                self.kills += 1
            case "freeze_worker":
                program.freeze()
                self._undo.append((time.monotonic() + self._lease + FREEZE_SECONDS, program.thaw))

    def tend(self) -> None:
        for program in self._programs:
            program.revive()
        for due in [due for due in self._undo if time.monotonic() >= due[0]]:
            due[1]()
            self._undo.remove(due)

    def drain(self, seconds: float) -> None:
        """Stop submitting, and wait until every task has written something."""
        self._stop.set()
        self._thread.join()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and len(self._written()) < len(self.accepted):
            self.tend()
            time.sleep(PAUSE_SECONDS)

    def stop(self) -> None:
        self._stop.set()
        for program in self._programs:
            program.thaw()
            send(signal.SIGTERM, program.tree[-1:])
        deadline = time.monotonic() + STOP_SECONDS
        for program in self._programs:
            program.stop(deadline)

    def figures(self) -> dict[str, Any]:
        """Return how many tasks wrote nothing by the end, and how many wrote more than once."""
        written = self._written()
        return {
            "peer_accepted": len(self.accepted),
            "peer_lost": sum(task not in written for task in self.accepted),
            "peer_twice": sum(rows > celery_app.ROWS for rows in written.values()),
            "peer_kills": self.kills,
        }

    def _written(self) -> Counter[str]:
        with closing(sqlite3.connect(self._rows, timeout=15)) as connection:
            return Counter(dict(connection.execute("SELECT task, count(*) FROM results GROUP BY task").fetchall()))

    def _submit(self) -> None:
        with celery_app.app.connection() as connection:
            refusals = (KombuError, OSError, *connection.connection_errors, *connection.channel_errors)
        while not self._stop.wait(PAUSE_SECONDS):
            if len(self.accepted) - len(self._written()) >= AT_ONCE:
                continue
            task = str(uuid.uuid4())
            seconds = self._chance.uniform(*(LONG_SECONDS if self._chance.random() < 1 / 6 else SHORT_SECONDS))
            try:
                celery_app.work.apply_async((seconds,), task_id=task, retry=False)
            except refusals:
                continue  # never accepted
            self.accepted.append(task)
