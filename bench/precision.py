"""Accuracy and speed of frozen bodies in each precision that this machine has, beside OpenVINO's float32.

    python -m bench.precision --data FOLDER ... [--backbones NAME ...] [--weights resnet34.safetensors] [--json]

For each backbone and data set: `quick`'s linear probe on features in each precision, on the same splits. Int8 is
calibrated as by the service, on pictures of the first data set. `accuracy` and `gap` (points, float32 less this; below
0 is better) are means over the seeds; `likeness` is the correlation of embeddings with those in float32.
`images_per_second`, of all cores, is of one pass over the decoded pictures. `worst_gap` is over all of a precision.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from bench.report import parse, show, weights_folder
from bench.teaching import lessons
from bench.teaching.lessons import Seen
from training.frozen import FROZEN_IMAGES, Samples, find_int8
from training.probe import Problem, fit
from training.quantise import compare
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.decoding.decode import DecodeLimits, decode
from tsukiji.vision.engines import Engine, Floats, Pixels
from tsukiji.vision.engines.opening import open_engine
from tsukiji.vision.engines.selection import abilities
from tsukiji.vision.execution_plan import Plan, fastest
from tsukiji.vision.model import Classifier, build_on
from tsukiji.vision.preprocess import Preprocess
from tsukiji.vision.streams import in_streams, parts_of
from tsukiji.vision.weights import load_backbone_weights

SIDE: Final = 224
EXACT: Final = "float32"
CPU: Final = torch.device("cpu")
EPOCHS: Final = 20


def main() -> None:
    parser = parse(__doc__)
    parser.add_argument("--backbones", nargs="+", default=["efficientnet_lite0"])
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    seeds = 1 if options.quick else options.seeds
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="tsukiji-precision-") as scratch:
        weights = weights_folder(options.weights, Path(scratch) / "weights")
        sets = {folder.name: lessons.look(folder) for folder in options.data}
        for backbone in options.backbones:
            figures[backbone] = measure(backbone, weights, sets, seeds, Path(scratch))
    gaps: dict[str, list[float]] = {}
    for found in figures.values():
        for rows in found["sets"].values():
            for precision, row in rows.items():
                gaps.setdefault(precision, []).append(row["gap"])
    worst = {f"{precision}_worst_gap": max(found) for precision, found in gaps.items() if precision != EXACT}
    show("precision", worst | {"seeds": list(range(seeds)), "runs": 1, "backbones": figures}, as_json=options.json)


def measure(
    backbone: str, weights: Path | None, sets: dict[str, list[Seen]], seeds: int, scratch: Path
) -> dict[str, Any]:
    body, source = load_backbone_weights(backbone, folder=weights, download=False)
    preprocess, model = preprocess_of(backbone, SIDE), build_on(backbone, body, 1, "linear_v1")
    pixels = {name: decoded(seen, preprocess) for name, seen in sets.items()}
    first = next(iter(pixels.values()))
    samples = Samples(FROZEN_IMAGES, lambda most: first[:: -(-len(first) // most)], lambda: None)
    file = find_int8(model, backbone, preprocess, scratch, samples)
    features: dict[str, dict[str, Floats]] = {name: {} for name in sets}
    speeds: dict[str, float] = {}
    for _, precision in abilities(CPU, "openvino"):
        if precision == "int8" and file is None:
            continue
        plan = fastest(CPU, "openvino", precision, SIDE)
        engine = open_engine(model, backbone, preprocess, plan, scratch, file)
        embed(engine, plan, first[: plan.batch_size * plan.streams])
        began = time.perf_counter()
        for name, found in pixels.items():
            features[name][precision] = embed(engine, plan, found)
        speeds[precision] = sum(map(len, pixels.values())) / (time.perf_counter() - began)
    rows = {name: judge(model, name, sets[name], found, seeds) for name, found in features.items()}
    return {"weights": source, "images_per_second": speeds, "int8_refused": file is None, "sets": rows}


def decoded(seen: Sequence[Seen], preprocess: Preprocess) -> Pixels:
    """Return fitted pictures (N, SIDE, SIDE, 3)."""
    limits = DecodeLimits()
    pictures = (decode(one.path.read_bytes(), limits, target_side=preprocess.size) for one in seen)
    return np.concatenate([preprocess.to_pixels([picture]) for picture in pictures])


def embed(engine: Engine, plan: Plan, pixels: Pixels) -> Floats:
    """Return embeddings (N, E)."""

    def act(part: Sequence[int]) -> Floats:
        return engine.look(pixels[list(part)])[0]

    parts = parts_of(range(len(pixels)), plan.batch_size, plan.streams)
    return np.concatenate(list(in_streams(plan, parts, act)))


def judge(
    model: Classifier, name: str, seen: Sequence[Seen], features: dict[str, Floats], seeds: int
) -> dict[str, dict[str, float]]:
    """Return accuracy, gap and likeness by precision."""
    accuracies: dict[str, list[float]] = {precision: [] for precision in features}
    for seed in range(seeds):
        for precision, rows in features.items():
            accuracies[precision].append(accuracy(rows[:, model.num_middle + model.num_features :], name, seen, seed))
    means = {precision: float(np.mean(found)) for precision, found in accuracies.items()}
    return {
        precision: {
            "accuracy": mean,
            "gap": 100 * (means[EXACT] - mean),
            "likeness": compare(features[EXACT], features[precision]),
        }
        for precision, mean in means.items()
    }


def accuracy(rows: Floats, name: str, seen: Sequence[Seen], seed: int) -> float:
    """Return the held-out accuracy of a probe on features (N, D), by the product's split of this seed."""
    pictures = lessons.split(name, seen, seed).pictures
    labels = sorted({picture.label for picture in pictures})
    sets = np.array([[picture.label == label for label in labels] for picture in pictures])
    held_out = np.array([picture.split == "valid" for picture in pictures])
    linear, _ = fit(Problem(rows[~held_out], sets[~held_out], exclusive=True), EPOCHS)
    found = linear.logits(rows[held_out]).argmax(axis=1)
    return float((found == sets[held_out].argmax(axis=1)).mean())


if __name__ == "__main__":
    main()
