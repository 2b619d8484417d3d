"""What a caller waits for beside the network, and what many callers at once get.

- `predict_overhead_ms`: the median of a call with one photo, warm, less that of the bare forward pass of one image in a
  process of its own; in turns.
- `predict_concurrent_ratio`: predictions a second of 32 callers at once over those of one who calls one at a time; in
  turns, from a process of their own, medians of the runs. `predict_concurrent_bound`: what it would be if callers cost
  nothing but the network, in the passes of a batch. One caller alone has all cores, so this is far from 32.

Predictions are recorded; `predict_unrecorded_...` are the same with `record=false`. `infer_memory_mb` is what the
inference worker has for itself at the end, with one model (Linux's USS, without pages of libraries that it shares);
`infer_resident_mb` is all of it.

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
import psutil

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
UNRECORDED: Final = "?record=false"
SENT: Final = {"content-type": "image/jpeg", "prefer": f"wait={WAIT_SECONDS}"}


def measure(stage: Stage) -> Figures:
    with serve(stage) as served:
        place = f"{served.url}/v1/models/{served.model}/predict"
        figures = measure_overhead(stage, served, place) | measure_concurrency(stage, served, place)
        return figures | memory_of(served.programs["infer"])


def memory_of(process: psutil.Process) -> Figures:
    facts = process.memory_full_info()
    return {"infer_memory_mb": facts.uss / 2**20, "infer_resident_mb": facts.rss / 2**20}


def measure_overhead(stage: Stage, served: Served, place: str) -> Figures:
    calls: list[float] = []
    unrecorded: list[float] = []
    passes: list[float] = []
    files = stage.fresh("one-by-one", 2 * (WARM_UP + stage.rounds))
    with (
        httpx2.Client(headers=served.headers | SENT, timeout=2 * WAIT_SECONDS) as http,
        Peer("forward", served.package(), stage.scratch, served.precision) as forward,
    ):
        for file, other in zip(files[::2], files[1::2], strict=True):
            passes.append(forward.classify([file])["seconds"])
            for photo, address, times in ((file, place, calls), (other, place + UNRECORDED, unrecorded)):
                taken, answer = timed(partial(http.post, address, content=photo.read_bytes()))
                check(answer)
                times.append(taken)
    whole, light, bare = (statistics.median(times[WARM_UP:]) for times in (calls, unrecorded, passes))
    return {
        "predict_unrecorded_overhead_ms": 1000 * (light - bare),
        "predict_overhead_ms": 1000 * (whole - bare),
        "predict_ms": 1000 * whole,
        "predict_ms_p95": 1000 * p95(calls[WARM_UP:]),
        "predict_forward_ms": 1000 * bare,
        "predict_precision": served.precision,
    }


def check(answer: httpx2.Response) -> None:
    """Raise RuntimeError unless the answer has a prediction."""
    body = answer.json()
    found = body.get("result") or body  # a job, or what is not recorded
    if answer.status_code != 200 or found["predictions"][0]["status"] != "succeeded":
        raise RuntimeError(f"no prediction: {answer.status_code} {answer.text[:300]}")


def measure_concurrency(stage: Stage, served: Served, place: str) -> Figures:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:

        def rate(address: str, callers: int) -> float:
            photos = stage.photos[:CALLERS]
            return pool.submit(call_all, address, served.headers, photos, callers, stage.seconds).result()

        addresses = {"predict": place, "predict_unrecorded": place + UNRECORDED}
        rate(place, CALLERS)
        turns = [
            {name: (rate(address, 1), rate(address, CALLERS)) for name, address in addresses.items()}
            for _ in range(stage.runs)
        ]
    most = forward_rate(stage, served)
    figures: Figures = {}
    for name in addresses:
        pairs = [turn[name] for turn in turns]
        figures |= {
            f"{name}_concurrent_ratio": statistics.median(many / one for one, many in pairs),
            f"{name}_concurrent_bound": statistics.median(most / one for one, _ in pairs),
            f"{name}_per_second_one": statistics.median(one for one, _ in pairs),
            f"{name}_per_second_many": statistics.median(many for _, many in pairs),
        }
    return figures


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
