"""What a caller waits for beside the network, and what many callers at once get.

- `predict_overhead_ms`: the median of a call with one photo, warm, less that of the bare forward pass of one image in a
  process of its own; in turns.
- `predict_concurrent_ratio`: predictions a second of 32 callers at once over those of one who calls one at a time; in
  turns, from a process of their own, medians of the runs. `predict_concurrent_bound`: what it would be if callers cost
  nothing but the network, in the passes of a batch. One caller alone has all cores, so this is far from 32.

Each caller has a connection that is kept, and no photo is sent twice.
"""

import asyncio
import itertools
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import httpx2

from bench.throughput import photos
from bench.throughput.peer import Peer
from bench.throughput.served import Served, serve
from bench.throughput.stage import Figures, Stage
from bench.throughput.timing import p95, timed

WARM_UP: Final = 5
CALLERS: Final = 32
PASSES: Final = 64
"""Images."""
WAIT_SECONDS: Final = 60
"""Longer than the service holds a call by default: an answer that is late counts as one."""
SENT: Final = {"content-type": "image/jpeg", "prefer": f"wait={WAIT_SECONDS}"}


def measure(stage: Stage) -> Figures:
    with serve(stage) as served:
        place = f"{served.url}/v1/models/{served.model}/predict"
        return measure_overhead(stage, served, place) | measure_concurrency(stage, served, place)


def measure_overhead(stage: Stage, served: Served, place: str) -> Figures:
    calls, passes = [], []
    files = stage.fresh("one-by-one", WARM_UP + stage.rounds)
    with (
        httpx2.Client(headers=served.headers | SENT, timeout=2 * WAIT_SECONDS) as http,
        Peer("forward", served.package(), stage.scratch, served.precision) as forward,
    ):
        for file in files:
            passes.append(forward.classify([file])["seconds"])
            taken, answer = timed(partial(http.post, place, content=file.read_bytes()))
            check(answer)
            calls.append(taken)
    whole, bare = statistics.median(calls[WARM_UP:]), statistics.median(passes[WARM_UP:])
    return {
        "predict_overhead_ms": 1000 * (whole - bare),
        "predict_ms": 1000 * whole,
        "predict_ms_p95": 1000 * p95(calls[WARM_UP:]),
        "predict_forward_ms": 1000 * bare,
        "predict_precision": served.precision,
    }


def check(answer: httpx2.Response) -> None:
    """Raise RuntimeError unless the answer has a prediction."""
    if answer.status_code != 200 or answer.json()["result"]["predictions"][0]["status"] != "succeeded":
        raise RuntimeError(f"no prediction: {answer.status_code} {answer.text[:300]}")


def measure_concurrency(stage: Stage, served: Served, place: str) -> Figures:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:

        def rate(callers: int) -> float:
            return pool.submit(call_all, place, served.headers, stage.photos[:CALLERS], callers, stage.seconds).result()

        rate(CALLERS)
        turns = [(rate(1), rate(CALLERS)) for _ in range(stage.runs)]
    most = forward_rate(stage, served)
    return {
        "predict_concurrent_ratio": statistics.median(many / one for one, many in turns),
        "predict_concurrent_bound": statistics.median(most / one for one, _ in turns),
        "predictions_per_second_one": statistics.median(one for one, _ in turns),
        "predictions_per_second_many": statistics.median(many for _, many in turns),
    }


def forward_rate(stage: Stage, served: Served) -> float:
    """Return the images a second of the bare forward pass in a batch."""
    files = stage.fresh("at-once", PASSES)
    with served.resting(), Peer("forward", served.package(), stage.scratch, served.precision) as forward:
        seconds: list[float] = [forward.classify(files)["seconds"] for _ in range(stage.runs + 1)]
    return PASSES / statistics.median(seconds)


def call_all(place: str, headers: dict[str, str], files: list[Path], callers: int, lasting: float) -> float:
    """Return the predictions a second that so many callers get, each with one call at a time."""
    return asyncio.run(_call_all(place, headers, photos.endless(files), callers, lasting))


async def _call_all(place: str, headers: dict[str, str], files: Iterator[bytes], callers: int, lasting: float) -> float:
    limits = httpx2.Limits(max_connections=callers, max_keepalive_connections=callers)
    done, ended = itertools.count(), 0
    end = time.monotonic() + lasting

    async def caller(http: httpx2.AsyncClient) -> None:
        nonlocal ended
        while time.monotonic() < end:
            check(await http.post(place, content=next(files)))
            if time.monotonic() < end:
                ended = next(done) + 1

    async with httpx2.AsyncClient(headers=headers | SENT, limits=limits, timeout=2 * WAIT_SECONDS) as http:
        await asyncio.gather(*(caller(http) for _ in range(callers)))
    return ended / lasting
