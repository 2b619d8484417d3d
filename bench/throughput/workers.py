"""Two inference workers against one, each with a core and a thread of its own.

`two_workers_ratio`: images a second of both over those of one, in turns, of a data set that lies in the service, until
its last result is read; `two_workers_whole_ratio`: of photos that are sent first, which takes one worker's service as
long as two's. The API, the other programs and the client run wherever the system puts them. The workers are new in each
turn, and warm.
"""

import os
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import psutil

from bench.bookkeeping import environment_of, read_log, running, settings_of
from bench.faulting.programs import Program
from bench.throughput.served import WARM_UP, classify, serve
from bench.throughput.stage import Figures, PartMissing, Stage
from bench.throughput.timing import rotated
from devtools.servers import free_port
from tsukiji import Client

READY_SECONDS: Final = 300
LOOK_SECONDS: Final = 0.1
PATIENT_RETRIES: Final = 10
"""Of the first call: the API is starting."""
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1"}
OTHERS: Final = ("api", "dispatcher", "intake")


def measure(stage: Stage) -> Figures:
    cores = own_cores()
    with serve(stage) as served:
        model, key = served.model, served.key
    rates: dict[int, list[Rates]] = {1: [], 2: []}
    with programs(stage, key) as (client, environment):
        for run in range(stage.runs):
            for count in rotated((1, 2), run):
                name = f"{run}-{count}"
                workers = [
                    Program("infer", number, environment | ONE_THREAD, stage.scratch / f"infer-{name}-{number}.log")
                    for number in range(count)
                ]
                with pinned(workers, cores):
                    warm_up(stage, client, model, workers, name)
                    rates[count].append(rates_of(stage, client, model, name))
    pairs = list(zip(rates[1], rates[2], strict=True))
    return {
        "two_workers_ratio": statistics.median(two.working / one.working for one, two in pairs),
        "two_workers_whole_ratio": statistics.median(two.whole / one.whole for one, two in pairs),
        "one_worker_images_per_second": statistics.median(one.working for one, _ in pairs),
        "two_workers_images_per_second": statistics.median(two.working for _, two in pairs),
    }


class Rates(NamedTuple):
    """Images a second."""

    working: float
    """Of photos that lie in the service."""
    whole: float
    """Of photos that are sent."""


def rates_of(stage: Stage, client: Client, model: str, name: str) -> Rates:
    files = stage.fresh(f"images-{name}/all", stage.images)
    dataset = client.datasets.create(f"images-{name}")
    dataset.upload(files[0].parents[1])
    working = classify(client, model, dataset=dataset)
    whole = classify(client, model, images=stage.fresh(f"sent-{name}", stage.images))
    for folder in (files[0].parents[1], stage.scratch / f"sent-{name}"):
        shutil.rmtree(folder)
    return Rates(stage.images / working, stage.images / whole)


def own_cores() -> Sequence[int]:
    """Return two cores that we may use.

    Raises:
        PartMissing: there are none, or programs cannot be bound to them.
    """
    cores: Sequence[int] = psutil.Process().cpu_affinity() or [] if hasattr(psutil.Process, "cpu_affinity") else []
    if len(cores) < 2:
        raise PartMissing("it takes two cores, and a system that binds programs to them")
    return cores[:2]


@contextmanager
def programs(
    stage: Stage, key: str, roles: Sequence[str] = OTHERS, **more: str
) -> Iterator[tuple[Client, dict[str, str]]]:
    """Run programs of a service that was stopped, by default all but workers for training and inference.

    `more` are further variables of theirs, as in `environment_of`. Yields a client, and a worker's environment.
    """
    port = str(free_port())
    settings = settings_of(stage.scratch / "service" / "data", {})
    inference = {name: value for name, value in os.environ.items() if name.startswith("TSUKIJI_INFERENCE_")}
    environment = environment_of(settings, API_HOST="127.0.0.1", API_PORT=port, **more) | inference
    found = [Program(role, 0, environment, stage.scratch / f"{role}.log") for role in roles]
    with running(found), Client(f"http://127.0.0.1:{port}", key, max_retries=PATIENT_RETRIES) as client:
        client.info()
        yield client, environment


@contextmanager
def pinned(workers: Sequence[Program], cores: Sequence[int]) -> Iterator[None]:
    """Run each on a core of its own, which it has before it counts how many there are."""
    with running(workers):
        for worker, core in zip(workers, cores, strict=False):
            assert worker.process is not None
            psutil.Process(worker.process.pid).cpu_affinity([core])
        yield


def warm_up(stage: Stage, client: Client, model: str, workers: Sequence[Program], name: str) -> None:
    """Classify until every worker has loaded the model.

    Raises:
        RuntimeError: that took too long.
    """
    deadline, number = time.monotonic() + READY_SECONDS, 0
    while not all(said(worker, "model_loaded") for worker in workers):
        if time.monotonic() > deadline:
            raise RuntimeError("a worker did not start, or got nothing to do")
        if all(said(worker, "worker_ready") for worker in workers):
            number += 1
            classify(client, model, images=stage.fresh(f"warm-{name}-{number}", len(workers) * WARM_UP))
        time.sleep(LOOK_SECONDS)


def said(program: Program, event: str) -> bool:
    return any(line.get("event") == event for line in read_log(program))
