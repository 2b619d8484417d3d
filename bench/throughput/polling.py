"""What 1,000 clients that poll a running batch get, and what they cost.

Batches of the same size, polled and not, in turns. Each client asks again when `Retry-After` says so, says what it
knows (`If-None-Match`), and has a connection of its own. `poll_p95_ms`: of all their looks. `poll_slowdown`: the part
of the inference rate that they cost, against the batches before and after; median of the runs. Clients, service and
network share one machine.
"""

import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from typing import Final

from bench.throughput import photos
from bench.throughput.pollers import Pollers, poll, prepare
from bench.throughput.served import Served, serve
from bench.throughput.stage import Figures, Stage
from bench.throughput.timing import p95
from tsukiji import Batch

LOOK_SECONDS: Final = 0.25
TIMES: Final = 3
"""As many images as elsewhere: the clients come during the first third."""
MARGIN: Final = 40
"""Pixels by which photos are larger than what the network sees."""


def measure(stage: Stage) -> Figures:
    with serve(stage) as served:
        quiet, polled, looks = [rate_of(start(stage, served))], [], []
        for _ in range(stage.runs):
            rate, taken = rate_polled(stage, served)
            polled.append(rate)
            looks += taken
            quiet.append(rate_of(start(stage, served)))
    around = [statistics.mean(pair) for pair in pairwise(quiet)]
    return {
        "poll_p95_ms": 1000 * p95(looks),
        "poll_p50_ms": 1000 * statistics.median(looks),
        "poll_slowdown": statistics.median(1 - rate / calm for rate, calm in zip(polled, around, strict=True)),
        "poll_images_per_second": statistics.median(polled),
        "poll_clients": stage.clients,
        "polls": len(looks),
    }


def start(stage: Stage, served: Served) -> Batch:
    archive = photos.pack(stage.photos, TIMES * stage.images, stage.scratch / "images.zip", stage.image_size + MARGIN)
    return served.client.batches.create(model=served.model, archive=archive)


def rate_polled(stage: Stage, served: Served) -> tuple[float, list[float]]:
    """Return the rate of a batch that is polled, and the seconds that each look took."""
    spawn = multiprocessing.get_context("spawn")
    over = spawn.Event()
    with ProcessPoolExecutor(1, spawn, initializer=prepare, initargs=(over,)) as pool:
        pool.submit(len, "").result()  # it is there before the batch begins
        batch = start(stage, served)
        pollers = Pollers(served.url, f"/v1/batches/{batch.id}", served.headers, stage.clients, stage.seconds)
        looks = pool.submit(poll, pollers)
        try:
            rate = rate_of(batch)
        finally:
            over.set()
        return rate, looks.result()


def rate_of(batch: Batch) -> float:
    """Return the images a second from the end of a batch's first chunk to its own; of all, where it has but one chunk.

    Raises:
        JobError: it did not succeed.
    """
    changes = [(time.monotonic(), 0.0)]
    while not batch.done:
        time.sleep(LOOK_SECONDS)
        completed = batch.refresh().progress.completed
        if completed > changes[-1][1]:
            changes.append((time.monotonic(), completed))
    batch.raise_for_status()
    (began, first), (ended, last) = changes[1 if len(changes) > 2 else 0], changes[-1]
    return (last - first) / (ended - began)
