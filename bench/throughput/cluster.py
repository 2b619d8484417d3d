"""`tsukiji batch-ray` on a Ray of this machine, beside a batch of the service over the same folder, both with parts.

- `batch_ray_vs_service`: pictures a second after the start, over the service's; the median of the runs. How long the
  start takes (`batch_ray_start_seconds`) is told by a batch of a few pictures, which each run has first.
- `batch_ray_differing`: pictures with another result, to the last digit.

The service stays there while Ray works, as it is told of the parts, but has nothing to classify.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from bench.throughput.served import WARM_UP, check, serve
from bench.throughput.stage import Figures, PartMissing, Stage
from bench.throughput.timing import rotated
from bench.throughput.workers import OTHERS, programs
from tsukiji import Batch, Client
from tsukiji.cli.embedded import tail
from tsukiji.cli.programs import programs_folder

OURS: Final = "service"
RAY: Final = "batch_ray"
Classify = Callable[[str], Batch]
"""Classifies the pictures of a folder, by its URL."""


def measure(stage: Stage) -> Figures:
    if find_spec("ray") is None:
        raise PartMissing("it takes the extra `ray`")
    with serve(stage) as served:
        model, key = served.model, served.key
    places = {name: stage.folder(name) for name in ("photos", "results")}
    urls = {name: f"file://{folder}" for name, folder in places.items()}
    allowed = {"SOURCES_ALLOWED": json.dumps([urls["photos"]]), "OUTPUTS_ALLOWED": json.dumps([urls["results"]])}
    rates: dict[str, list[float]] = {OURS: [], RAY: []}
    starts, differing = [], 0
    with programs(stage, key, (*OTHERS, "infer"), **allowed) as (client, environment):
        on_cluster = Cluster(client, key, model, urls["results"], environment, stage.scratch / "ray.log")
        ways: dict[str, Classify] = {OURS: Service(client, model, urls["results"]), RAY: on_cluster}
        for run in range(stage.runs):
            few, all_ = (stage.fresh(f"photos/{name}-{run}", count)[0].parent for name, count in sizes(stage))
            found = {}
            for name in rotated((OURS, RAY), run):
                start, _ = timed(ways[name], few)
                whole, found[name] = timed(ways[name], all_)
                rates[name].append((stage.images - WARM_UP) / (whole - start))
                if name == RAY:
                    starts.append(start)
            differing += sum(mine != theirs for mine, theirs in zip(found[OURS], found[RAY], strict=True))
            shutil.rmtree(all_)
    return {
        "batch_ray_vs_service": statistics.median(
            theirs / ours for ours, theirs in zip(rates[OURS], rates[RAY], strict=True)
        ),
        "batch_ray_images_per_second": statistics.median(rates[RAY]),
        "service_folder_images_per_second": statistics.median(rates[OURS]),
        "batch_ray_start_seconds": statistics.median(starts),
        "batch_ray_differing": differing,
    }


def sizes(stage: Stage) -> list[tuple[str, int]]:
    """Return the folders of a run with their pictures.

    Raises:
        PartMissing: there are too few to tell a rate from a start.
    """
    if stage.images < 2 * WARM_UP:
        raise PartMissing(f"it takes {2 * WARM_UP} photos")
    return [("few", WARM_UP), ("all", stage.images)]


def timed(classify: Classify, folder: Path) -> tuple[float, list[dict[str, Any]]]:
    """Return the seconds until the batch has ended, and its results."""
    began = time.perf_counter()
    batch = classify(f"file://{folder}")
    taken = time.perf_counter() - began
    results = [result.model_dump(include={"custom_id", "label", "score", "known_score"}) for result in batch.results()]
    check(batch, sum(result["label"] is not None for result in results))
    return taken, results


class Service:
    """A batch of the service."""

    def __init__(self, client: Client, model: str, results: str) -> None:
        self._client, self._model, self._results = client, model, results

    def __call__(self, source: str) -> Batch:
        return self._client.batches.create(model=self._model, source=source, output=self._results).wait()


class Cluster:
    """The program that `tsukiji batch-ray` starts, with a Ray of its own on this machine."""

    def __init__(
        self, client: Client, key: str, model: str, results: str, environment: dict[str, str], log: Path
    ) -> None:
        self._client, self._model, self._results, self._log = client, model, results, log
        address = f"http://127.0.0.1:{environment['TSUKIJI_API_PORT']}"
        self._environment = environment | {"TSUKIJI_URL": address, "TSUKIJI_API_KEY": key}

    def __call__(self, source: str) -> Batch:
        order = json.dumps({"model": self._model, "source": source, "output": self._results})
        with self._log.open("ab") as log:
            ended = subprocess.run(
                [sys.executable, "-m", "worker.ray_batches"],
                cwd=programs_folder(),
                env=self._environment | {"PYTHONPATH": os.fspath(programs_folder())},
                input=order,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                check=False,
            )
        if ended.returncode != 0:
            raise RuntimeError(f"batch-ray ended with status {ended.returncode}\n{tail(self._log)}")
        return self._client.batches.get(ended.stdout.split()[-1])
