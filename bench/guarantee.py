"""Guarantees: whether decisions are wrong as seldom as promised, and how much is decided.

A run draws the pictures that a linear probe learns from; all others are a population whose errors are known. The
held-out pictures are drawn from it with replacement, as new ones would come, so the true error of a threshold is exact
and no second sample adds its noise. Those learnt from are missing in it. Promises rest on
held-out and cross-fitted pictures, those named `alone_` on the held-out ones. `violation_rate` is the part of promises
(1, 2 and 5%; 100, 300 and 1,000 held-out pictures) that decisions break, `violation_rate_worst` that of the worst
target and data set; `decided_ratio` is the part decided, of that by the lowest threshold that keeps the target in the
population, at 2% with 300 held-out pictures, whatever the accuracy of the models. `ratio_..._made_up` is the same of
scores drawn as a calibrated model's that is right in 98%; `..._taught` is of a probe taught made-up pictures, four
times as many as are held out (300). `withdrawn_rate` is of batches of 500 with a fifth of `--unknown`;
`audit_coverage` of samples of made-up batches whose interval always has the true error in it; `set_coverage` of true
labels in prediction sets at 0.9. Digits are scikit-learn's, through the same network: all that there is without
`--data`. `--kept` keeps embeddings.
"""

import argparse
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.drift import BACKBONE, ITERATIONS, Body, Seen, files_of
from bench.report import make_photos, parse, show
from training.cross_fitting import Judged, Labelled, Probe, cross_fit
from training.digits import write_digits
from training.guarantees import decision_scores, grounds, set_limits
from training.intervals import wilson
from training.mahalanobis import fit
from training.metrics import cross_fitted, fit_temperature
from training.probe import Problem
from training.probe import fit as fit_linear
from tsukiji.guarantee import conformal, selective, sequential
from tsukiji.types.batches import MIN_KNOWN
from tsukiji.types.guarantees import Selective
from tsukiji.vision.drift import HeldOut, fourier_features, judge
from tsukiji.vision.model import build_on
from tsukiji.vision.out_of_distribution import Means
from tsukiji.vision.predictor import softmax
from tsukiji.vision.weights import load_backbone_weights

HELD_OUT: Final = (100, 300, 1000)
TARGETS: Final = (0.01, 0.02, 0.05)
CONFIDENCE: Final = 0.95
COVERAGE: Final = 0.9
LEARNT: Final = {"ants_bees": 100, "cats_dogs": 60}
LEARNT_ELSE: Final = 0.7
MIXED: Final = (400, 100)
"""Pictures of a batch: known, unknown."""
REFERENCE: Final = 100
"""Held-out pictures that a batch is compared with, none of them in it."""
UNKNOWN: Final = 60
POPULATION: Final = 100_000
TAUGHT_LABELS: Final = 5
TAUGHT_WIDTH: Final = 48
TAUGHT_APART: Final = 0.8
TAUGHT_HELD_OUT: Final = 300
FRESH: Final = 20_000
AUDITED: Final = ((300, 0.05), (2000, 0.02), (5000, 0.005), (2000, 0.04))
"""Decisions of a batch, and how many are wrong."""
AUDIT_TARGET: Final = 0.02

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def main() -> None:
    parser = parse(__doc__)
    parser.add_argument("--unknown", type=Path, help="pictures of other things; made-up ones by default")
    parser.add_argument("--seeds", type=int, default=200, help="runs with another split")
    parser.add_argument("--first-seed", type=int, default=0, help="those below may have been looked at in development")
    parser.add_argument("--kept", type=Path, help="folder that keeps embeddings from run to run")
    options = parser.parse_args()
    if options.quick:
        options.seeds = 2
    with TemporaryDirectory() as scratch:
        show("guarantee", measure(options, Path(scratch)), as_json=options.json)


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    state, _ = load_backbone_weights(BACKBONE, folder=options.weights, download=False)
    body = Body(build_on(BACKBONE, state, 2, "linear_v1").eval())
    digits = scratch / "digits"
    write_digits(digits)
    if options.unknown is None:
        make_photos(scratch / "unknown", UNKNOWN)
    unknown = embedded(body, options.unknown or scratch / "unknown", options.kept)[0]
    seen: dict[str, list[float]] = defaultdict(list)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for folder in [*options.data, digits]:
        rows, truth = embedded(body, folder, options.kept)
        split = Split(rows, truth, unknown, folder.name, body.model.num_middle, body.model.num_features)
        for seed in seeds:
            for name, value in split.run(seed).items():
                seen[name].append(value)
                seen[f"{name}_{folder.name}"].append(value)
    for seed in seeds:
        for name, value in made_up(seed).items():
            seen[f"{name}_made_up"].append(value)
        for name, value in taught(seed).items():
            seen[f"{name}_taught"].append(value)
    figures = {name: float(np.mean(values)) for name, values in seen.items()}
    kinds = [*(folder.name for folder in [*options.data, digits]), "made_up", "taught"]
    each = {name: seen[name] for name in seen if name.startswith("over_") and name.endswith(tuple(kinds))}
    broken = np.concatenate(list(each.values()))
    audit_coverage = float(np.mean([audit(seed) for seed in range(5 * options.seeds)]))
    return {
        "violation_rate": float(broken.mean()),
        "decided_ratio": figures.pop("ratio_2_300"),
        "withdrawn_rate": figures.pop("withdrawn_rate"),
        "audit_coverage": audit_coverage,
        "set_coverage": figures.pop("set_coverage"),
        "violation_interval": wilson(int(broken.sum()), len(broken)),
        "violation_rate_worst": max(float(np.mean(values)) for values in each.values()),
        **dict(sorted(figures.items())),
        "confidence": CONFIDENCE,
        "seeds": list(seeds),
        "runs": len(kinds) * options.seeds,
    }


def embedded(body: Body, folder: Path, kept: Path | None) -> tuple[Floats, Ints]:
    """Return the embeddings and labels of a folder's pictures."""
    files = files_of(folder)
    names = sorted({file.parent.name for file in files})
    numbers = np.array([names.index(file.parent.name) for file in files])
    path = None if kept is None else kept / f"{folder.name}-{len(files)}.npy"
    if path is not None and path.exists():
        return np.load(path), numbers
    rows = body.embed(files)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, rows)
    return rows, numbers


@dataclass(frozen=True)
class Split:
    """The pictures of a folder: embeddings (N, E) and class numbers (N,); and of other things."""

    rows: Floats
    truth: Ints
    unknown: Floats
    name: str
    middle: int
    features: int

    def run(self, seed: int) -> dict[str, float]:
        """Return the figures of one split."""
        random = np.random.default_rng(seed)
        order, labels = random.permutation(len(self.truth)), int(self.truth.max()) + 1
        count = LEARNT.get(self.name, round(LEARNT_ELSE * len(order)))
        learnt, pool = order[:count], order[count:]
        half = self.middle + self.features
        linear, penalty = fit_linear(
            Problem(self.rows[learnt, half:], np.eye(labels, dtype=np.bool_)[self.truth[learnt]], True), ITERATIONS
        )
        probe = Probe(labels, self.middle, penalty, ITERATIONS)
        logits = linear.logits(self.rows[:, half:]).astype(np.float32)
        others = linear.logits(self.unknown[:, half:]).astype(np.float32)
        right = logits.argmax(axis=1) == self.truth
        found = {"accuracy": float(right[pool].mean())}
        for images in HELD_OUT:
            held_out = random.choice(pool, images)
            found |= self.promises(held_out, pool, learnt, logits, probe)
        return found | self.withdrawal(random, learnt, pool, logits, others, labels)

    def promises(self, held_out: Ints, pool: Ints, learnt: Ints, logits: Floats, probe: Probe) -> dict[str, float]:
        truth, statistics = self.truth[held_out], self.statistics(learnt, held_out)
        temperature = np.float32(fit_temperature(logits[held_out], truth))
        scores, taken_for = decision_scores(logits[held_out], truth), logits.argmax(axis=1)
        known = statistics.scores(self.known(self.rows[held_out])) >= MIN_KNOWN
        names = [str(number) for number in range(logits.shape[1])]
        judged = Judged(truth, taken_for[held_out], scores, known)
        others = cross_fit(self.labelled(learnt), self.labelled(held_out), probe, float(temperature))
        alone, evidence = (grounds(judged, more, names) for more in (None, others))
        shares = softmax(logits[pool] / temperature)
        inside = statistics.scores(self.known(self.rows[pool])) >= MIN_KNOWN
        sureness, wrong = np.where(inside, shares.max(axis=1), -1.0), taken_for[pool] != self.truth[pool]
        found = kept(alone, evidence, sureness, wrong, len(held_out))
        for target in TARGETS:
            what = f"{100 * target:g}_{len(held_out)}"
            for label, part in enumerate(selective.guarantee(evidence, target, CONFIDENCE).by_label):
                mine = sureness >= (2.0 if part.threshold is None else part.threshold)
                mine &= taken_for[pool] == int(part.label or label)
                found[f"label_{what}_{part.label}"] = float(mine.any() and wrong[mine].mean() > target)
        labelled = [found.pop(name) for name in list(found) if name.startswith("label_")]
        chances = np.random.default_rng(len(held_out)).random(len(pool))
        limit = set_limits(cross_fitted(logits[held_out], truth), truth, [COVERAGE])[0].limit
        sets = conformal.members(conformal.places(shares, chances), limit)
        found["set_coverage"] = float(sets[np.arange(len(pool)), self.truth[pool]].mean())
        found["set_size"] = float(sets.sum(axis=1).mean())
        return found | {f"label_violation_rate_{len(held_out)}": float(np.mean(labelled))}

    def withdrawal(
        self, random: np.random.Generator, learnt: Ints, pool: Ints, logits: Floats, others: Floats, labels: int
    ) -> dict[str, float]:
        """Return whether a batch with other things, and one without, is found to differ from the held-out pictures."""
        reference, rest = pool[:REFERENCE], pool[REFERENCE:]
        temperature = np.float32(fit_temperature(logits[reference], self.truth[reference]))
        statistics = self.statistics(learnt, reference)

        def see(rows: Floats, given: Floats) -> Seen:
            shares = softmax(given / temperature)
            scores = statistics.scores(self.known(rows))
            return Seen(shares.argmax(axis=1), shares.max(axis=1), scores, fourier_features(rows, self.middle))

        usual = see(self.rows[reference], logits[reference])
        held_out = HeldOut.of(usual.classes, usual.scores, usual.known, usual.features, labels)
        known, strange = see(self.rows[rest], logits[rest]), see(self.unknown, others)
        own = known.drawn(random.integers(0, len(rest), sum(MIXED)))
        mixed = known.drawn(random.integers(0, len(rest), MIXED[0])).joined(
            strange.drawn(random.integers(0, len(others), MIXED[1]))
        )
        return {
            "withdrawn_rate": float(judge(mixed.counted(labels, held_out), held_out).exceeded),
            "withdrawn_in_vain_rate": float(judge(own.counted(labels, held_out), held_out).exceeded),
        }

    def statistics(self, learnt: Ints, held_out: Ints) -> Means:
        return fit(self.known(self.rows[learnt]), self.truth[learnt], self.known(self.rows[held_out]), self.middle)

    def labelled(self, places: Ints) -> Labelled:
        return Labelled(self.known(self.rows[places]), self.truth[places], places)

    def known(self, rows: Floats) -> Floats:
        return np.concatenate([rows[:, : self.middle], rows[:, self.middle + self.features :]], axis=1)


def kept(
    alone: Selective, evidence: Selective, sureness: NDArray[np.floating], wrong: NDArray[np.bool_], images: int
) -> dict[str, float]:
    """Return of each target whether it is kept in a population, and how much of that is decided."""
    found: dict[str, float] = {}
    for target in TARGETS:
        what, best = f"{100 * target:g}_{images}", oracle(sureness, wrong, target)
        for name, rests_on in (("", evidence), ("alone_", alone)):
            given = selective.overall(rests_on, target, CONFIDENCE)
            decided = sureness >= (2.0 if given.threshold is None else given.threshold)
            error = float(wrong[decided].mean()) if decided.any() else 0.0
            found |= {f"{name}over_{what}": float(error > target), f"{name}decided_{what}": float(decided.mean())}
            if best:
                found[f"{name}ratio_{what}"] = float(decided.mean()) / best
    return found


def taught(seed: int) -> dict[str, float]:
    """Return the figures of a linear probe that learns from made-up features, some nearer to others' than usual."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((TAUGHT_LABELS, TAUGHT_WIDTH)) * TAUGHT_APART

    def draw(images: int, first: int) -> Labelled:
        classes = random.integers(0, TAUGHT_LABELS, images)
        clear = random.gamma(3, 0.4, (images, 1))
        rows = (centres[classes] * clear + random.standard_normal((images, TAUGHT_WIDTH))).astype(np.float32)
        return Labelled(rows, classes, np.arange(first, first + images))

    learnt, held_out, fresh = draw(4 * TAUGHT_HELD_OUT, 0), draw(TAUGHT_HELD_OUT, POPULATION), draw(FRESH, 0)
    sets = np.eye(TAUGHT_LABELS, dtype=np.bool_)[learnt.classes]
    linear, penalty = fit_linear(Problem(learnt.features, sets, True), ITERATIONS)
    logits = linear.logits(held_out.features).astype(np.float32)
    temperature = np.float32(fit_temperature(logits, held_out.classes))
    scores = decision_scores(logits, held_out.classes)
    statistics = fit(learnt.features, learnt.classes, held_out.features, 0)
    known, inside = (statistics.scores(part.features) >= MIN_KNOWN for part in (held_out, fresh))
    judged = Judged(held_out.classes, logits.argmax(axis=1), scores, known)
    others = cross_fit(learnt, held_out, Probe(TAUGHT_LABELS, 0, penalty, ITERATIONS), float(temperature))
    names = [str(number) for number in range(TAUGHT_LABELS)]
    shares = softmax(linear.logits(fresh.features).astype(np.float32) / temperature)
    wrong = shares.argmax(axis=1) != fresh.classes
    alone, evidence = (grounds(judged, more, names) for more in (None, others))
    found = kept(alone, evidence, np.where(inside, shares.max(axis=1), -1.0), wrong, TAUGHT_HELD_OUT)
    return found | {"accuracy": float(1 - wrong.mean())}


def made_up(seed: int) -> dict[str, float]:
    """Return the figures of a calibrated model that is right in 98%."""
    random = np.random.default_rng(seed)

    def draw(images: int) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        scores = 1 / (1 + np.exp(-random.gamma(3, 2.5, images)))
        return scores, random.random(images) > scores

    found = {}
    population, wrong = draw(POPULATION)
    for images in HELD_OUT:
        scores, missed = draw(images)
        truth = np.zeros(images, np.int64)
        evidence = selective.evidence(scores, truth, missed.astype(np.int64), scores > 0, ["a", "b"])
        for target in TARGETS:
            given = selective.overall(evidence, target, CONFIDENCE)
            decided = population >= (2.0 if given.threshold is None else given.threshold)
            what = f"{100 * target:g}_{images}"
            found[f"over_{what}"] = float(decided.any() and wrong[decided].mean() > target)
            found[f"ratio_{what}"] = float(decided.mean()) / oracle(population, wrong, target)
    return found | {"accuracy": float(1 - wrong.mean())}


def oracle(sureness: NDArray[np.floating], wrong: NDArray[np.bool_], target: float) -> float:
    """Return the largest part that a threshold can decide with an error of at most the target."""
    order = np.argsort(-sureness, kind="stable")
    ranked, counts = sureness[order], np.arange(1, len(order) + 1)
    last = np.append(ranked[1:] < ranked[:-1], True) & (ranked >= 0)
    fits = np.flatnonzero(last & (np.cumsum(wrong[order]) <= target * counts))
    return float(counts[fits[-1]] / len(order)) if len(fits) else 0.0


def audit(seed: int) -> float:
    """Return whether an audit's interval had the true error in it all the time."""
    random = np.random.default_rng(seed)
    decided, rate = AUDITED[seed % len(AUDITED)]
    answers = random.permutation(np.arange(decided) < round(decided * rate))
    wrong = np.cumsum(answers)
    for checked in range(1, min(decided, 500) + 1, 5):
        low, high = sequential.interval(int(wrong[checked - 1]), checked, decided, AUDIT_TARGET, CONFIDENCE)
        if not low <= wrong[-1] / decided <= high:
            return 0.0
    return 1.0


if __name__ == "__main__":
    main()
