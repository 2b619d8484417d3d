"""Throughput of the service: each target is a part, and parts run alone or together.

    python -m bench.batches [--part NAME ...] --data FOLDER ... --weights FILE [--quick] [--json]

| part | figures |
|---|---|
| `throughput` | `service_images_per_second`; `service_vs_fastai`, `_forward`, `_litserve`, `_ray` |
| `growth` | `cost_growth`, `memory_growth`: 100,000 small images against 5,000 |
| `workers` | `two_workers_ratio` |
| `shared` | `shared_backbone_ratio` |
| `predict` | `predict_overhead_ms`, `predict_concurrent_ratio`, `predict_unrecorded_...` the same; `infer_memory_mb` |
| `accept` | `accept_ms`, `accept_vs_write` |
| `cluster` | `batch_ray_vs_service`, `batch_ray_start_seconds`, `batch_ray_differing` |
| `polling` | `poll_p95_ms`, `poll_slowdown` |

Each figure is defined at the top of its module in `bench/throughput/`. A part that cannot be measured here reports the
reason, without figures.
"""

import argparse
import importlib
import os
import tempfile
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.report import parse, pictures, show, weights_folder
from bench.throughput.stage import Figures, PartMissing, Stage

PARTS: Final = ("throughput", "growth", "workers", "shared", "predict", "accept", "cluster", "polling")
"""Loaded when needed: processes that we start import this file too, and should be light."""
MADE_UP: Final = 200
"""Generated photos, if none are given; further ones are copies of these."""
QUICK: Final = {"images": 48, "runs": 1, "large": 400, "rounds": 5, "seconds": 2.0, "clients": 50, "taught": 40}
"""Upper bounds of these options in the short form."""


def main() -> None:
    options = read_options()
    figures: Figures = {}
    with tempfile.TemporaryDirectory(prefix="tsukiji-bench-") as scratch:
        folder = Path(scratch)
        weights = weights_folder(options.weights, folder / "weights")
        photos = pictures(options.data, options.images if options.data else MADE_UP, folder / "photos")
        try:
            for name in options.part or PARTS:
                found = measure(name, stage_of(options, photos, weights, folder))
                show(name, found, as_json=False)
                figures |= found
        finally:  # a failing part must not lose the others' figures
            show("batches", figures | circumstances(options), as_json=options.json)


def read_options() -> argparse.Namespace:
    parser = parse(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--part", action="append", choices=sorted(PARTS), help="only this one; may be repeated")
    parser.add_argument("--images", type=int, default=2000, help="photos in a batch")
    parser.add_argument("--backbone", default="resnet34", help="whose weights are in --weights, or in a package")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--taught", type=int, default=400, help="photos of each class that the model learns from")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--large", type=int, default=100_000, help="images of the larger batch of `growth`")
    parser.add_argument("--rounds", type=int, default=60, help="predictions and batches that are timed one by one")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement that is a rate")
    parser.add_argument("--clients", type=int, default=1000, help="that poll")
    parser.add_argument("--precision", help="train until the service runs the model in this; 48 photos decide")
    options = parser.parse_args()
    if options.quick:
        for name, most in QUICK.items():
            setattr(options, name, min(getattr(options, name), most))
    return options


def stage_of(options: argparse.Namespace, photos: list[Path], weights: Path | None, folder: Path) -> Stage:
    return Stage(
        scratch=folder,
        photos=photos,
        weights=weights,
        images=options.images,
        image_size=options.image_size,
        runs=options.runs,
        large=options.large,
        rounds=options.rounds,
        seconds=options.seconds,
        clients=options.clients,
        taught=options.taught,
        backbone=options.backbone,
        precision=options.precision,
    )


def measure(name: str, stage: Stage) -> Figures:
    """Measure a part in a folder of its own; no figures if it cannot be measured here."""
    part = importlib.import_module(f"bench.throughput.{name}")  # noqa: TID251 - each part needs another extra
    with tempfile.TemporaryDirectory(dir=stage.scratch) as scratch:
        try:
            found: Figures = part.measure(stage.at(Path(scratch)))
        except PartMissing as missing:
            Console(stderr=True).print(f"{name} is left out: {missing}")
            return {}
    return found


def circumstances(options: argparse.Namespace) -> Figures:
    facts = {name: getattr(options, name) for name in ("images", "backbone", "image_size", "taught", "runs", "quick")}
    return facts | {"cpu_count": os.cpu_count()}


if __name__ == "__main__":
    main()
