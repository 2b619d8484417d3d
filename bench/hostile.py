"""Effect of hostile clients on others: the API alone, under one kind of attack after the other.

The service is that of `tsukiji up` without workers, with default settings, on SQLite. Attackers run in a process of
their own on the same machine. Meanwhile `/livez` is requested on a new connection ten times a second: `livez_p95_ms`,
where no response counts as `PATIENCE` seconds. `api_memory_mb` is the peak resident memory of the API. `refused` counts
attempts answered with an error or closed, `crashed` how often the process died. The totals are the worst of all
attacks; figures of each attack are in `attacks`, with how its attempts `ended`. The baseline is the service without
attackers, `calm_ms`, in the same run.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, Self

import httpx2
import psutil

from bench.attacks import ATTACKS, Target, attack
from bench.bookkeeping import environment_of, running, settings_of
from bench.faulting.programs import Program
from bench.report import show
from db import keys
from db.jobs import jobs
from db.session import Database
from db.upgrade import upgrade
from devtools.servers import free_port, wait_until
from tests.requests import BLANK
from tsukiji.jobs import JobKind
from tsukiji.kernel import log
from tsukiji.kernel.settings import LogSettings

SECONDS: Final = 40
QUICK_SECONDS: Final = 3
PATIENCE: Final = 10.0
PAUSE: Final = 0.1
HELD: Final = frozenset({"held", "200"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each attack")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the first run; each has the next one")
    parser.add_argument("--attack", action="append", choices=sorted(ATTACKS), help="only this one; may be repeated")
    parser.add_argument("--quick", action="store_true", help="one short run: shows that it works")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    log.configure(LogSettings(level="warning"), "hostile")
    if options.quick:
        options.seconds, options.runs = QUICK_SECONDS, 1
    seeds = list(range(options.seed, options.seed + options.runs))
    runs = []
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="tsukiji-hostile-") as home:
            runs.append(measure(Path(home), options.attack or list(ATTACKS), options.seconds, seed))
    facts = {"seconds": options.seconds, "runs": len(seeds), "seeds": list(seeds)}
    show("hostile clients", figures_of(runs) | facts, as_json=options.json)


def measure(home: Path, names: Sequence[str], seconds: float, seed: int) -> dict[str, dict[str, Any]]:
    """Return the figures of a service without attackers ("calm"), and then under each attack."""
    settings = settings_of(home / "data", {})
    upgrade(settings)
    with ExitStack() as cleanup:
        database = Database(settings)
        cleanup.callback(database.close)
        with database.transaction() as session:
            _, key = keys.create(session, "hostile")
            job = jobs.create(session, JobKind.TRAINING, request=BLANK[JobKind.TRAINING], max_attempts=3).id
        port = free_port()
        api = Program("api", 0, environment_of(settings, API_HOST="127.0.0.1", API_PORT=str(port)), home / "api.log")
        cleanup.enter_context(running([api]))
        url = f"http://127.0.0.1:{port}"
        if not wait_until(lambda: ask(url) < PATIENCE):
            raise RuntimeError(f"the API did not start: {api.log.read_text('utf-8')[-2000:]}")
        httpx2.post(f"{url}/v1/datasets", json={"name": "hostile"}, headers={"Authorization": f"Bearer {key}"})
        pool = cleanup.enter_context(ProcessPoolExecutor(1, multiprocessing.get_context("spawn")))
        pool.submit(os.getpid).result()  # has imported what it needs
        found = {"calm": watch(api, url, lambda: time.sleep(seconds))}
        for name in names:
            target = Target("127.0.0.1", port, key, job, "hostile", seconds, ATTACKS[name][1], seed)
            found[name] = watch(api, url, lambda name=name, target=target: pool.submit(attack, name, target).result())
    return found


class Watcher:
    """Requests `/livez` and measures the memory, in a thread of its own."""

    def __init__(self, process: psutil.Process, url: str) -> None:
        self.waits: list[float] = []
        self.memory = 0
        self._process, self._url = process, url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            self.waits.append(ask(self._url))
            with suppress(psutil.Error):
                self.memory = max(self.memory, self._process.memory_info().rss)
            self._over.wait(PAUSE)


def ask(url: str) -> float:
    """Return the seconds to a correct response, `PATIENCE` if there was none."""
    began = time.perf_counter()
    line = HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE)  # a client with almost no overhead
    try:
        line.request("GET", "/livez")
        return time.perf_counter() - began if line.getresponse().status == 200 else PATIENCE
    except (OSError, HTTPException):
        return PATIENCE
    finally:
        line.close()


def watch(api: Program, url: str, act: Any) -> dict[str, Any]:
    if api.process is None or api.process.poll() is not None:
        api.start()
        wait_until(lambda: ask(url) < PATIENCE)
    assert api.process is not None
    with Watcher(psutil.Process(api.process.pid), url) as watcher:
        ended = act() or {}
    return {
        "livez_p95_ms": 1000 * sorted(watcher.waits)[int(0.95 * len(watcher.waits))],
        "api_memory_mb": watcher.memory / 2**20,
        "refused": sum(count for end, count in ended.items() if end not in HELD),
        "crashed": int(api.process.poll() is not None),
        "ended": ended,
    }


def figures_of(runs: Sequence[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return the median over the runs for each attack, and the worst of them."""
    attacks = {
        name: {
            "livez_p95_ms": statistics.median(run[name]["livez_p95_ms"] for run in runs),
            "api_memory_mb": statistics.median(run[name]["api_memory_mb"] for run in runs),
            "refused": sum(run[name]["refused"] for run in runs),
            "crashed": sum(run[name]["crashed"] for run in runs),
            "ended": [run[name]["ended"] for run in runs],
        }
        for name in runs[0]
        if name != "calm"
    }
    return {
        "livez_p95_ms": max(found["livez_p95_ms"] for found in attacks.values()),
        "api_memory_mb": max(found["api_memory_mb"] for found in attacks.values()),
        "refused": sum(found["refused"] for found in attacks.values()),
        "crashed": sum(found["crashed"] for found in attacks.values()),
        "calm_ms": statistics.median(run["calm"]["livez_p95_ms"] for run in runs),
        "calm_memory_mb": statistics.median(run["calm"]["api_memory_mb"] for run in runs),
        "attacks": attacks,
    }


if __name__ == "__main__":
    main()
