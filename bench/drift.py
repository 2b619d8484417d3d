"""Drift: how often batches of held-out pictures raise an alarm, and how often batches with other things in them do.

A run splits the pictures of a folder: three fifths are learnt from, a fifth is the reference that a package keeps, and
batches are drawn from the last fifth, which the model has not seen, with replacement, as there are fewer than a batch
needs. `false_alarm_rate` is of batches of `--images` of those, over all runs; the rates at 5, 10 and 20% are of batches
in which each picture is one of `--unknown` instead, with that probability. `one_label_alarm_rate` is of batches with
pictures of a single label, which is no drift. Embeddings are computed once for each folder, everything else as a
training of the preset `quick` and a worker do. `judge_ms` is the time of a test, `image_us` of keeping one picture.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from bench.report import SUFFIXES, parse, show
from training.mahalanobis import fit
from training.metrics import fit_temperature
from training.probe import Problem
from training.probe import fit as fit_linear
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.decoding.decode import decode
from tsukiji.vision.drift import LEVEL, Distribution, HeldOut, fourier_features, judge
from tsukiji.vision.engines import Pixels
from tsukiji.vision.engines.torch_engine import TorchEngine
from tsukiji.vision.execution_plan import exact
from tsukiji.vision.model import Classifier, build_on
from tsukiji.vision.predictor import softmax
from tsukiji.vision.weights import load_backbone_weights

BACKBONE: Final = "efficientnet_lite0"
SIZE: Final = 224
ITERATIONS: Final = 40
MIXES: Final = (0, 5, 10, 20)
"""Percent of other things."""
PART: Final = 16

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def main() -> None:
    parser = parse(__doc__)
    parser.add_argument("--unknown", type=Path, required=True, help="pictures of other things")
    parser.add_argument("--images", type=int, default=1000, help="of a batch")
    parser.add_argument("--seeds", type=int, default=50, help="runs with another split")
    parser.add_argument("--batches", type=int, default=20, help="of each kind, in each run")
    options = parser.parse_args()
    if not options.data:
        parser.error("--data: this needs photos of at least two labels, a folder for each")
    if options.quick:
        options.seeds, options.batches = 2, 2
    show("drift", measure(options), as_json=options.json)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    state, _ = load_backbone_weights(BACKBONE, folder=options.weights, download=False)
    body = Body(build_on(BACKBONE, state, 2, "linear_v1").eval())
    unknown = body.embed(files_of(options.unknown))
    figures: dict[str, Any] = {}
    runs = []
    for folder in options.data:
        files = files_of(folder)
        names = sorted({file.parent.name for file in files})
        data = body.embed(files), np.array([names.index(file.parent.name) for file in files])
        mine = [run(body.model, *data, unknown, seed, options) for seed in range(options.seeds)]
        runs += mine
        figures |= {f"{name}_{folder.name}": value for name, value in mean_of(mine).items()}
        figures[f"held_out_{folder.name}"] = len(files) // 5
    whole = mean_of(runs)
    return {
        "false_alarm_rate": whole["power_at_0"],
        **{name: value for name, value in whole.items() if name != "power_at_0"},
        **{name.replace("power_at_0", "false_alarm_rate"): value for name, value in figures.items()},
        "level": LEVEL,
        "batch_images": options.images,
        "batches_of_each_kind": options.batches * len(runs),
        "seeds": list(range(options.seeds)),
        "runs": len(runs),
    }


def mean_of(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in runs])) for name in runs[0]}


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


@dataclass(frozen=True)
class Body:
    model: Classifier

    def embed(self, files: list[Path]) -> Floats:
        preprocess = preprocess_of(BACKBONE, SIZE)
        engine = TorchEngine(self.model, BACKBONE, preprocess, exact("cpu"))

        def pixels(part: list[Path]) -> Pixels:
            return preprocess.to_pixels([decode(file.read_bytes(), target_side=preprocess.size) for file in part])

        starts = range(0, len(files), PART)
        with torch.inference_mode():
            return np.concatenate([engine.look(pixels(files[start : start + PART]))[0] for start in starts])


@dataclass(frozen=True)
class Seen:
    """N pictures as a worker sees them: likeliest labels, probabilities, known scores, features; each (N, ...)."""

    classes: Ints
    scores: Floats
    known: Floats
    features: Floats

    def drawn(self, places: Ints) -> "Seen":
        return Seen(self.classes[places], self.scores[places], self.known[places], self.features[places])

    def joined(self, other: "Seen") -> "Seen":
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("classes", "scores", "known", "features"))
        return Seen(*(np.concatenate(pair) for pair in pairs))

    def counted(self, labels: int, held_out: HeldOut) -> Distribution:
        return Distribution.of(self.classes, self.scores, self.known, self.features, labels, held_out)


def run(
    model: Classifier, embeddings: Floats, truth: Ints, unknown: Floats, seed: int, options: argparse.Namespace
) -> dict[str, float]:
    """Return the rates of alarms of one split."""
    random = np.random.default_rng(seed)
    order, labels, fifth = random.permutation(len(truth)), int(truth.max()) + 1, len(truth) // 5
    reference, pool, learnt = order[:fifth], order[fifth : 2 * fifth], order[2 * fifth :]
    middle, half = model.num_middle, model.num_middle + model.num_features

    def known_features(rows: Floats) -> Floats:
        return np.concatenate([rows[:, :middle], rows[:, half:]], axis=1)

    linear, _ = fit_linear(
        Problem(embeddings[learnt, half:], np.eye(labels, dtype=np.bool_)[truth[learnt]], True), ITERATIONS
    )
    temperature = fit_temperature(linear.logits(embeddings[reference, half:]).astype(np.float32), truth[reference])
    statistics = fit(known_features(embeddings[learnt]), truth[learnt], known_features(embeddings[reference]), middle)

    def see(rows: Floats) -> Seen:
        shares = softmax(linear.logits(rows[:, half:]).astype(np.float32) / np.float32(temperature))
        scores = statistics.scores(known_features(rows))
        return Seen(shares.argmax(axis=1), shares.max(axis=1), scores, fourier_features(rows, middle))

    kept = see(embeddings[reference])
    held_out = HeldOut.of(kept.classes, kept.scores, kept.known, kept.features, labels)
    own, others = see(embeddings[pool]), see(unknown)

    def alarms(source: Seen, percent: int) -> float:
        raised = 0
        for _ in range(options.batches):
            strange = random.binomial(options.images, percent / 100)
            known = source.drawn(random.integers(0, len(source.classes), options.images - strange))
            mixed = known.joined(others.drawn(random.integers(0, len(others.classes), strange)))
            raised += judge(mixed.counted(labels, held_out), held_out).exceeded
        return raised / int(options.batches)

    rates = {f"power_at_{percent}": alarms(own, percent) for percent in MIXES}
    only = [own.drawn(np.flatnonzero(truth[pool] == label)) for label in range(labels)]
    rates["one_label_alarm_rate"] = float(np.mean([alarms(part, 0) for part in only]))
    return rates | timed(embeddings[pool], own, labels, held_out, middle)


def timed(rows: Floats, own: Seen, labels: int, held_out: HeldOut, middle: int) -> dict[str, float]:
    began = time.perf_counter()
    fourier_features(rows, middle)
    found = own.counted(labels, held_out)
    kept = time.perf_counter()
    judge(found, held_out)
    return {
        "image_us": (kept - began) / len(rows) * 1e6,
        "judge_ms": (time.perf_counter() - kept) * 1000,
        "bytes": float(len(found.to_bytes())),
    }


if __name__ == "__main__":
    main()
