"""Many clients at once: each submits a batch of pictures, polls it as `Retry-After` says, and downloads its results.

The service has the settings and programs of `tsukiji up`, with two `infer` workers, on SQLite, and a small network with
random weights; clients run in this process on the same machine. An error is every answer of 400 and more but a 429
with `Retry-After`, and every broken connection. Lost is each accepted batch that did not end well by `DRAIN_SECONDS`
after the last submission, or whose results do not have each of its pictures once. `memory_growth` is the share by
which the resident memory of all programs grew from the end of the warm-up (a quarter of the time) to the end; medians
of a tenth of the time each. `p95_ms` is of all requests.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
import psutil

from bench.bookkeeping import add_model, environment_of, make_pictures, running, settings_of
from bench.faulting.programs import Program
from bench.report import show
from db import keys
from db.upgrade import upgrade
from devtools.servers import free_port, wait_until
from tsukiji.kernel import log
from tsukiji.kernel.settings import LogSettings
from worker.services import open_services

PROGRAMS: Final = ("api", "dispatcher", "intake", "infer", "infer")
CLIENTS: Final = 200
MINUTES: Final = 10
QUICK_CLIENTS: Final = 20
QUICK_MINUTES: Final = 0.2
PICTURES: Final = 50
PER_BATCH: Final = 4
START_SECONDS: Final = 120
DRAIN_SECONDS: Final = 300
REQUEST_SECONDS: Final = 60
SAMPLE_SECONDS: Final = 0.5
WARM: Final = 0.25
WINDOW: Final = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="how long clients submit")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--quick", action="store_true", help="few clients, twelve seconds: shows that it works")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    log.configure(LogSettings(level="warning"), "load")
    if options.quick:
        options.minutes, options.clients = QUICK_MINUTES, QUICK_CLIENTS
    with tempfile.TemporaryDirectory(prefix="tsukiji-load-") as home:
        figures = measure(
            Path(home), 60 * options.minutes, options.clients, options.seed, options.backbone, options.image_size
        )
    show("many clients", figures, as_json=options.json)


def measure(
    home: Path, seconds: float, number: int, seed: int, backbone: str = "efficientnet_lite0", side: int = 64
) -> dict[str, Any]:
    """Return the figures of a service with this many clients."""
    settings = settings_of(home / "data", {})
    upgrade(settings)
    port = free_port()
    with ExitStack() as cleanup:
        services = open_services(settings)
        cleanup.callback(services.database.close)
        model = add_model(services, backbone, side)
        with services.database.transaction() as session:
            _, key = keys.create(session, "load")
        environment = environment_of(settings, API_HOST="127.0.0.1", API_PORT=str(port))
        programs = [Program(role, n, environment, home / f"{role}{n}.log") for n, role in enumerate(PROGRAMS)]
        cleanup.enter_context(running(programs))
        clients = Clients(f"http://127.0.0.1:{port}", key, model.id, seed)
        if not wait_until(clients.is_ready, START_SECONDS):
            raise RuntimeError(f"the API did not start: {programs[0].log.read_text('utf-8')[-2000:]}")
        asyncio.run(clients.run(number, seconds, programs))
        if any(program.is_new_dead for program in programs):
            raise RuntimeError("a program died: " + ", ".join(p.role for p in programs if p.is_new_dead))
    return clients.figures() | {
        "clients": number,
        "minutes": seconds / 60,
        "seeds": [seed],
        "runs": 1,
        "backbone": backbone,
        "image_size": side,
    }


@dataclass
class Clients:
    """Users of the service, in one event loop."""

    url: str
    key: str
    model: str
    seed: int
    waits: list[float] = field(default_factory=list)
    """Seconds of each request."""
    ends: Counter[str] = field(default_factory=Counter)
    """How requests ended: a status, or the name of an exception."""
    memory: list[int] = field(default_factory=list)
    """Bytes of all programs, every `SAMPLE_SECONDS`."""
    errors: list[str] = field(default_factory=list)
    submitted: int = 0
    complete: int = 0
    pause: float = 1.0
    """Seconds to wait where the service does not say how long."""

    def is_ready(self) -> bool:
        with suppress(httpx2.HTTPError):
            return httpx2.get(f"{self.url}/readyz").status_code == 200
        return False

    async def run(
        self,
        number: int,
        seconds: float,
        programs: Sequence[Program],
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        pictures, until = make_pictures(PICTURES), time.monotonic() + seconds
        limits = httpx2.Limits(max_connections=number, max_keepalive_connections=number)
        headers = {"Authorization": f"Bearer {self.key}"}
        async with httpx2.AsyncClient(
            base_url=self.url, headers=headers, limits=limits, timeout=REQUEST_SECONDS, transport=transport
        ) as client:
            watch = asyncio.create_task(self._watch(programs, until))
            users = (self._use(client, random.Random(f"{self.seed}-{one}"), pictures, until) for one in range(number))
            await asyncio.gather(*users)
            await watch

    async def _watch(self, programs: Sequence[Program], until: float) -> None:
        while programs and time.monotonic() < until:
            self.memory.append(await asyncio.to_thread(resident, programs))
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _use(
        self, client: httpx2.AsyncClient, chance: random.Random, pictures: Sequence[bytes], until: float
    ) -> None:
        await asyncio.sleep(chance.uniform(0, min(5.0, (until - time.monotonic()) / 4)))
        while time.monotonic() < until:
            sent = chance.sample(pictures, PER_BATCH)
            files = [("files", (f"{n}.jpg", data, "image/jpeg")) for n, data in enumerate(sent)]
            answer = await self._ask(client, "POST", "/v1/batches", files=files, data={"model": self.model})
            if answer is None or answer.status_code != 202:
                await asyncio.sleep(self._pause(answer))
                continue
            self.submitted += 1
            is_whole = await self._finish(client, answer.json()["id"], self._pause(answer), until + DRAIN_SECONDS)
            self.complete += is_whole

    async def _finish(self, client: httpx2.AsyncClient, batch: str, first: float, deadline: float) -> bool:
        """Follow a batch to its end; returns whether the results have each picture once."""
        wait = first
        while time.monotonic() < deadline:
            await asyncio.sleep(wait)
            answer = await self._ask(client, "GET", f"/v1/batches/{batch}")
            wait = self._pause(answer)
            if answer is not None and answer.status_code == 200 and answer.json()["done"]:
                break
        else:
            return False
        if answer.json()["status"] != "succeeded":
            self.errors.append(f"{batch}: {answer.text[:300]}")
            return False
        while time.monotonic() < deadline:
            answer = await self._ask(client, "GET", f"/v1/batches/{batch}/results", params={"format": "jsonl"})
            if answer is not None and answer.status_code == 200:
                found = sorted(json.loads(line)["custom_id"] for line in answer.text.splitlines())
                if found != NAMES:
                    self.errors.append(f"{batch}: results of {found}")
                return found == NAMES
            await asyncio.sleep(self._pause(answer))
        return False

    async def _ask(self, client: httpx2.AsyncClient, method: str, path: str, **options: Any) -> httpx2.Response | None:
        """Send a request and count its end; None where the connection broke."""
        began = time.perf_counter()
        try:
            answer = await client.request(method, path, **options)
        except httpx2.HTTPError as error:
            self.ends[type(error).__name__] += 1
            self.errors.append(f"{method} {path}: {error!r}")
            return None
        finally:
            self.waits.append(time.perf_counter() - began)
        self.ends[str(answer.status_code)] += 1
        if answer.is_error and not (answer.status_code == 429 and "retry-after" in answer.headers):
            self.errors.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer

    def _pause(self, answer: httpx2.Response | None) -> float:
        """Return how long a client waits that does as it is told."""
        return self.pause if answer is None else float(answer.headers.get("retry-after", self.pause))

    def figures(self) -> dict[str, Any]:
        size = max(1, round(WINDOW * len(self.memory)))
        warm = int(WARM * len(self.memory))
        before, after = (statistics.median(part) for part in (self.memory[warm : warm + size], self.memory[-size:]))
        return {
            "requests": len(self.waits),
            "errors": len(self.errors),
            "lost": self.submitted - self.complete,
            "memory_growth": after / before - 1,
            "p95_ms": 1000 * sorted(self.waits)[int(0.95 * len(self.waits))],
            "p50_ms": 1000 * statistics.median(self.waits),
            "batches": self.complete,
            "memory_mb": after / 2**20,
            "ends": dict(self.ends),
            "first_errors": self.errors[:5],
        }


NAMES: Final = [f"{number}.jpg" for number in range(PER_BATCH)]


def resident(programs: Sequence[Program]) -> int:
    """Return the bytes in memory of the programs and all their children; pages that they share count for each."""
    total = 0
    for program in programs:
        for pid in program.tree:
            with suppress(psutil.Error):
                total += psutil.Process(pid).memory_info().rss
    return total


if __name__ == "__main__":
    main()
