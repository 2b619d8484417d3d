"""What 1,000 clients that poll a running batch get, and what they cost.

Each asks again when `Retry-After` says so, says what it knows (`If-None-Match`), and has a connection of its own.
`poll_p95_ms`: of all their looks. `poll_slowdown`: the part of the inference rate that they cost, against the same
batch before and after. Clients, service and network share one machine.
"""

import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from bench.throughput import photos
from bench.throughput.crowd import Crowd, poll, prepare
from bench.throughput.served import Served, classify, serve
from bench.throughput.stage import Figures, Stage
from bench.throughput.timing import p95
from tsukiji import Batch

LOOK_SECONDS: Final = 0.25
LEAST_CHANGES: Final = 4
"""A rate is taken between chunks' ends: of so many changes of the progress the first is at an unknown time."""
CHUNK_SECONDS: Final = 8
"""As the service has it by default."""
TRIAL: Final = 512
SPARE: Final = 1.5
"""The batch must not end before all is measured."""
MARGIN: Final = 40
"""Pixels by which photos are larger than what the network sees."""


def measure(stage: Stage) -> Figures:
    with serve(stage) as served:
        batch = start(stage, served)
        before = rate_of(batch, stage.seconds)
        spawn = multiprocessing.get_context("spawn")
        over = spawn.Event()
        with ProcessPoolExecutor(1, spawn, initializer=prepare, initargs=(over,)) as pool:
            crowd = Crowd(served.url, f"/v1/batches/{batch.id}", served.headers, stage.clients, stage.seconds)
            looks = pool.submit(poll, crowd)
            try:
                time.sleep(stage.seconds)  # all have come, and have been told their pace
                polled = rate_of(batch, stage.seconds)
            finally:
                over.set()
            taken = looks.result()
        after = rate_of(batch, stage.seconds)
        batch.cancel()
    return {
        "poll_p95_ms": 1000 * p95(taken),
        "poll_p50_ms": 1000 * statistics.median(taken),
        "poll_slowdown": 1 - polled / statistics.mean((before, after)),
        "poll_images_per_second": [before, polled, after],
        "poll_clients": stage.clients,
        "polls": len(taken),
    }


def start(stage: Stage, served: Served) -> Batch:
    """Start a batch that lasts for as long as all takes, by the rate of a smaller one."""
    side = stage.image_size + MARGIN
    trial = photos.pack(stage.photos, TRIAL, stage.scratch / "trial.zip", side)
    rate = TRIAL / classify(served.client, served.model, archive=trial)
    lasting = 3 * max(stage.seconds, LEAST_CHANGES * CHUNK_SECONDS) + stage.seconds
    images = min(int(SPARE * rate * lasting), served.client.limits()["batch_items"])
    archive = photos.pack(stage.photos, images, stage.scratch / "images.zip", side)
    return served.client.batches.create(model=served.model, archive=archive)


def rate_of(batch: Batch, lasting: float) -> float:
    """Return the images a second between two moments at which chunks ended.

    Raises:
        RuntimeError: the batch has ended before.
    """
    changes: list[tuple[float, float]] = []
    deadline = time.monotonic() + lasting
    while len(changes) < LEAST_CHANGES or time.monotonic() < deadline:
        completed = batch.refresh().progress.completed
        if batch.done:
            raise RuntimeError("the batch ended before all was measured")
        if not changes or completed > changes[-1][1]:
            changes.append((time.monotonic(), completed))
        time.sleep(LOOK_SECONDS)
    (began, first), (ended, last) = changes[1], changes[-1]
    return (last - first) / (ended - began)
