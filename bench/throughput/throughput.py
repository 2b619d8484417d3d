"""The whole service, from sending photos to the last result read, beside who else could classify the same files.

In turns, in every run another one first, on photos that nobody has seen; each warm, and alone on the machine: peers
live for their turn, and the service stands still meanwhile. Medians of the runs, ratios above 1: we are faster.

- `service_vs_fastai`: plain fastai, `learn.get_preds` on the files; `service_vs_fastai_bfloat16`: under autocast.
- `service_vs_forward`: the product's own engine, in a process of its own, on inputs that are ready;
  `service_vs_forward_decoded`: on files, which it reads and decodes on all cores.
- `service_vs_litserve`: LitServe's documented image classifier, batching on, asked by 64 callers at once.
- `service_vs_ray`: Ray Data's documented batch inference; the start of its actor, which each job pays, left out.

The peers have the same weights, image size and processor threads, and compute in float32, as their documentation does,
where their names say nothing else.
"""

import itertools
import shutil
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.throughput.peer import Peer, is_possible
from bench.throughput.served import WARM_UP, Served, classify, serve
from bench.throughput.stage import Figures, Stage
from bench.throughput.timing import rotated

OURS: Final = "service"
PEERS: Final = ("fastai", "fastai_bfloat16", "forward", "litserve", "ray")


def measure(stage: Stage) -> Figures:
    names = [OURS, *filter(is_possible, PEERS)]
    for name in itertools.filterfalse(is_possible, PEERS):
        Console(stderr=True).print(f"{name} is left out: its library (extra `bench`) or bfloat16 is not here.")
    rates: dict[str, list[float]] = defaultdict(list)
    with serve(stage) as served:
        package = served.package()
        for run in range(stage.runs):
            files = stage.fresh(f"run-{run}", stage.images)
            for name in rotated(names, run):
                warm = stage.fresh(f"warm-{name}-{run}", WARM_UP)
                if name == OURS:
                    seconds = {"": time_service(served, warm, files)}
                else:
                    seconds = time_peer(served, Peer(name, package, stage.scratch, served.precision), warm, files)
                for what, taken in seconds.items():
                    rates[name + what].append(len(files) / taken)
            shutil.rmtree(files[0].parent)
    return summary(rates) | {"precision": served.precision}


def time_service(served: Served, warm: Sequence[Path], files: Sequence[Path]) -> float:
    classify(served.client, served.model, images=warm)
    return classify(served.client, served.model, images=files)


def time_peer(served: Served, peer: Peer, warm: Sequence[Path], files: Sequence[Path]) -> dict[str, float]:
    """Return seconds, by what follows the peer's name in the figures."""
    with served.resting(), peer:
        peer.classify(warm)
        found = peer.classify(files)
    return {what.removeprefix("seconds"): taken for what, taken in found.items() if what.startswith("seconds")}


def summary(rates: dict[str, list[float]]) -> Figures:
    """Return the median rates, and the median of each run's ratio."""
    figures = {f"{name}_images_per_second": statistics.median(found) for name, found in rates.items()}
    ours = rates[OURS]
    ratios = {name: [mine / theirs for mine, theirs in zip(ours, found, strict=True)] for name, found in rates.items()}
    return figures | {f"{OURS}_vs_{name}": statistics.median(found) for name, found in ratios.items() if name != OURS}
