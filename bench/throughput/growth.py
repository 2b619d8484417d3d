"""What twenty times as many images cost: 100,000 small ones against 5,000, resnet18 at 32 px.

`cost_growth`: seconds per image of the larger batch over those of the smaller one. `memory_growth`: peak memory of each
program of the service in the larger batch over that in the smaller one; the worst program. Each batch has a service of
its own, new and warm. Medians of the runs.
"""

import shutil
import statistics
from typing import Final

from bench.throughput import photos
from bench.throughput.memory import Peaks
from bench.throughput.served import classify, serve
from bench.throughput.stage import Figures, Stage

TIMES: Final = 20
SIDE: Final = 64
PHOTOS: Final = 500
"""So many different ones; the rest are their copies."""
RECIPE: Final = {"backbone": "resnet18", "image_size": 32, "epochs": 1, "pretrained": False, "batch_size": 8}
PROGRAMS: Final = ("api", "infer", "intake", "dispatcher")

Cost = tuple[float, dict[str, float]]
"""Seconds per image, and peak megabytes by program."""


def measure(stage: Stage) -> Figures:
    small = max(1, stage.large // TIMES)
    turns = [(cost_of(stage, small, run), cost_of(stage, stage.large, run)) for run in range(stage.runs)]
    growths = {name: statistics.median(large[name] / few[name] for (_, few), (_, large) in turns) for name in PROGRAMS}
    return {
        "cost_growth": statistics.median(large / few for (few, _), (large, _) in turns),
        "memory_growth": max(growths.values()),
        **{f"memory_growth_{name}": growth for name, growth in growths.items()},
        **{f"memory_mb_{name}": statistics.median(large[name] for _, (_, large) in turns) for name in PROGRAMS},
        "growth_images": [small, stage.large],
        "growth_images_per_second": [statistics.median(1 / turn[size][0] for turn in turns) for size in (0, 1)],
    }


def cost_of(stage: Stage, images: int, run: int) -> Cost:
    """Classify so many images in a new service."""
    own = stage.at(stage.folder(f"growth-{run}-{images}"))
    archive = photos.pack(stage.photos[:PHOTOS], images, own.scratch / "images.zip", SIDE)
    with serve(own, RECIPE) as served:
        watched = {name: process for name, process in served.programs.items() if name in PROGRAMS}
        with Peaks(watched) as peaks:
            taken = classify(served.client, served.model, archive=archive)
    shutil.rmtree(own.scratch)
    return taken / images, peaks.megabytes
