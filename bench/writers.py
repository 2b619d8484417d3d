"""How long writes wait where everybody writes to one SQLite file: the API and three workers under the load of users.

The programs are those of `tsukiji up`, with its leases; chunks are small, so that there are many claims and commits.
Users upload, import, train and classify over HTTP, without faults. A process of its own, with nothing else to do,
begins a small write several times a second: `wait_ms` is its time from asking for the write lock until it has it,
`write_ms` until the commit is done. `create_dataset_ms` and `submit_ms` are what users wait for an answer to their own
writes, the bytes that they send included. `writes` counts all transactions that changed the file. The peer is the
target: 95 of 100 writes wait less than 200 ms, and nobody is told that the database is locked.
"""

import argparse
import json
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from bench.bookkeeping import environment_of, running, settings_of
from bench.faulting.load import Lesson, Users
from bench.faulting.programs import PROGRAMS, Program, results_of
from bench.faults import teach
from bench.report import show
from db import keys
from db.jobs import workers
from db.session import Database, DatabaseUnavailable
from db.upgrade import upgrade
from devtools.servers import free_port
from tsukiji.kernel import log
from tsukiji.kernel.settings import LogSettings

SAMPLES_PER_SECOND: Final = 8
DRAIN_SECONDS: Final = 10
LOCKED: Final = "database is locked"
TARGET_MS: Final = 200
LOAD: Final = {
    "API_HOST": "127.0.0.1",
    "JOBS_CHUNK_IMAGES": "6",
    "INFERENCE_BATCH_SIZE": "2",
    "TRAINING_WORKERS": "0",
    "WEIGHTS_DOWNLOAD": "false",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--users", type=int, default=3, help="each submits batches, trainings and imports side by side")
    parser.add_argument("--quick", action="store_true", help="half a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    log.configure(LogSettings(level="warning"), "writers")
    minutes = min(options.minutes, 0.5) if options.quick else options.minutes
    with tempfile.TemporaryDirectory(prefix="tsukiji-writers-") as home:
        figures = measure(Path(home), minutes, options.users)
    show("writes that wait, SQLite", figures, as_json=options.json)


@dataclass
class Probe:
    """What one writer saw, in seconds; the two lists go side by side."""

    waits: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Watched(Users):
    """Users who note how long each answer took, and every answer that says that the service failed."""

    def __init__(self, url: str, key: str, seed: int, lesson: Lesson) -> None:
        super().__init__(url, key, seed, lesson)
        self.seconds: dict[str, list[float]] = {"create_dataset": [], "submit": []}
        self.errors: list[str] = []
        self._http.event_hooks = {"response": [self._note]}

    def call(self, method: str, path: str, **content: Any) -> Any:
        began = time.perf_counter()
        answer = super().call(method, path, **content)
        if method == "POST" and not path.endswith("/cancel"):
            kind = "create_dataset" if path == "/v1/datasets" else "submit"
            self.seconds[kind].append(time.perf_counter() - began)
        return answer

    def _note(self, response: httpx2.Response) -> None:
        if response.status_code >= 500:
            response.read()
            self.errors.append(f"{response.status_code} {response.text[:300]}")


def measure(home: Path, minutes: float, count: int) -> dict[str, Any]:
    settings = settings_of(home / "data", {})
    upgrade(settings)
    with ExitStack() as cleanup:
        database = Database(settings)
        cleanup.callback(database.close)
        with database.transaction() as session:
            _, key = keys.create(session, "writers")
        port = free_port()
        environment = environment_of(
            settings, API_PORT=str(port), OUTPUTS_ALLOWED=json.dumps([results_of(home)]), **LOAD
        )
        roles = enumerate(PROGRAMS["embedded"])
        programs = [Program(role, number, environment, home / f"{role}.log") for number, role in roles]
        cleanup.enter_context(running(programs))
        url = f"http://127.0.0.1:{port}"
        lesson = teach(url, key, home / "lesson", results_of(home))
        users = [Watched(url, key, seed, lesson) for seed in range(count)]
        for user in users:
            cleanup.callback(user.close)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, context) as pool:
            before = transactions(settings.data.dir)
            for user in users:
                user.start()
            seen = pool.submit(probe, settings.data.dir, 60 * minutes).result()
            written = transactions(settings.data.dir) - before
        for user in users:
            user.finish(DRAIN_SECONDS)
        while any(user.busy for user in users):
            time.sleep(0.1)
        logs = [line for program in programs for line in program.log.read_text("utf-8").splitlines()]
    return figures_of(users, seen, logs) | {"minutes": minutes, "users": count, "writes": written}


def transactions(folder: Path) -> int:
    """Return SQLite's own counter of transactions, at byte 8 of its shared index of the write-ahead log.

    It begins anew when the last connection is closed; our own stays in its pool.
    """
    with (folder / "tsukiji.db-shm").open("rb") as file:
        return int.from_bytes(file.read(12)[8:], "little")


def probe(folder: Path, seconds: float) -> Probe:
    """Write what a worker's sign of life writes, at random moments."""
    seen, chance = Probe(), random.Random(0)
    database = Database(settings_of(folder, {}))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        try:
            with database.transaction() as session:
                session.connection()  # BEGIN IMMEDIATE
                waited = time.perf_counter() - began
                workers.report(session, "probe", "none", None)
        except DatabaseUnavailable as error:
            seen.errors.append(str(error.orig))
        else:
            seen.waits.append(waited)
            seen.writes.append(time.perf_counter() - began)
        time.sleep(chance.uniform(0, 2 / SAMPLES_PER_SECOND))
    database.close()
    return seen


def figures_of(users: Sequence[Watched], seen: Probe, logs: Sequence[str]) -> dict[str, Any]:
    errors = [error for user in users for error in user.errors + user.unanswered]
    return {
        "locked_errors": sum(LOCKED in line for line in [*logs, *errors, *seen.errors]),
        "user_errors": len(errors),
        "probe_errors": len(seen.errors),
        "jobs": sum(len(user.accepted) - 1 for user in users),
        "samples": len(seen.waits),
        **quantiles("wait", seen.waits),
        **quantiles("write", seen.writes),
        **quantiles("create_dataset", [taken for user in users for taken in user.seconds["create_dataset"]]),
        **quantiles("submit", [taken for user in users for taken in user.seconds["submit"]]),
        "target_ms": TARGET_MS,
    }


def quantiles(name: str, seconds: Sequence[float]) -> dict[str, float | None]:
    """Return the median, the 95th percentile and the maximum in milliseconds; None where there are too few."""
    if len(seconds) < 2:
        return {f"{name}_ms_{which}": None for which in ("p50", "p95", "max")}
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    return {
        f"{name}_ms_p50": 1000 * statistics.median(seconds),
        f"{name}_ms_p95": 1000 * cuts[18],
        f"{name}_ms_max": 1000 * max(seconds),
    }


if __name__ == "__main__":
    main()
