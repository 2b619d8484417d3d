"""What a model can promise, from pictures that it has not learnt from: thresholds and prediction sets."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from training.cross_fitting import Judged
from training.metrics import SEED, cross_fitted, fit_temperature
from tsukiji.guarantee import conformal, selective
from tsukiji.types import Metrics
from tsukiji.types.batches import COVERAGES
from tsukiji.types.guarantees import Selective, SetLimit
from tsukiji.vision.predictor import softmax

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

UNLIKELY: Final = 0.05


def add(
    metrics: Metrics, held_out: Judged, shares: Floats, candidates: int = 1, cross_fitted: Judged | None = None
) -> None:
    """Add guarantees and prediction sets to the metrics of N images of a single-label model.

    Args:
        metrics: to add to; without images nothing is added.
        held_out: these images; for their scores see `decision_scores`.
        shares: probabilities of all classes, (N, C), by a temperature that other images chose.
        candidates: among how many networks these images chose.
        cross_fitted: images that the model learnt from, judged by others; they count where those are not better.
    """
    if len(held_out.truth):
        found = grounds(held_out, cross_fitted, metrics.label_names, candidates)
        metrics.selective = found
        metrics.guarantees = [selective.guarantee(found, target) for target in selective.TARGETS]
        metrics.prediction_sets = set_limits(shares, held_out.truth, COVERAGES)


def grounds(
    held_out: Judged, cross_fitted: Judged | None, label_names: Sequence[str], candidates: int = 1
) -> Selective:
    """Return what guarantees rest on; arguments as of `add`."""
    others = 0
    if cross_fitted is not None and comparable(held_out, cross_fitted):
        held_out, others = held_out.joined(cross_fitted), len(cross_fitted.truth)
    return selective.evidence(
        held_out.scores, held_out.truth, held_out.taken_for, held_out.known, label_names, candidates, others
    )


def comparable(held_out: Judged, cross_fitted: Judged) -> bool:
    """Return whether the held-out images are not wrong more often than chance makes likely (Fisher's exact test).

    They are if only the others were cleaned, come from another place, or have near-duplicates among them.
    """
    wrong, others = (int((part.taken_for != part.truth).sum()) for part in (held_out, cross_fitted))
    images = len(held_out.truth)
    chance = hypergeom.sf(wrong - 1, images + len(cross_fitted.truth), wrong + others, images)
    return bool(chance >= UNLIKELY)


def decision_scores(logits: Floats, truth: Ints) -> Floats:
    """Return each image's top probability by a temperature that it did not choose, (N,).

    With two labels a temperature changes no order, and guarantees rest on the order alone: it is the one served.
    """
    if logits.shape[1] > 2:
        return np.asarray(cross_fitted(logits, truth).max(axis=1), np.float32)
    return np.asarray(softmax(logits / np.float32(fit_temperature(logits, truth))).max(axis=1))


def set_limits(shares: Floats, truth: Ints, coverages: Sequence[float]) -> list[SetLimit]:
    """Return the limits of prediction sets, and the sets' mean size on these images, given probabilities (N, C)."""
    found = conformal.places(shares, np.random.default_rng(SEED).random(len(truth)))
    mine = found[np.arange(len(truth)), truth]
    limits = [conformal.limit(mine, coverage) for coverage in coverages]
    return [
        SetLimit(coverage=coverage, limit=limit, mean_size=float(conformal.members(found, limit).sum(axis=1).mean()))
        for coverage, limit in zip(coverages, limits, strict=True)
    ]
