"""The threshold from which decisions are wrong at most as often as a user can live with, with a confidence.

Selective classification with a guaranteed risk (Geifman and El-Yaniv, NIPS 2017): of held-out pictures, surest first,
let S(k) be how many of the first k are wrong. A threshold below which more than `rate` of all decisions are wrong lets
through k pictures whose errors are at least Binomial(k, rate), for this k and every larger one, because surer pictures
are not wrong more often. So the largest k with S(k) <= b(k) is wrong with a probability of at most that with which a
walk of independent errors ever comes below b, and b is chosen such that this is 1 - confidence, computed exactly. A
fixed sequence of tests (Angelopoulos et al., "Learn then Test", 2021) stops at its first failure; this goes on.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tsukiji.types.batches import MIN_KNOWN
from tsukiji.types.guarantees import ErrorSteps, Guarantee, Selective

TARGETS: Final = (0.005, 0.01, 0.02, 0.05)
CONFIDENCE: Final = 0.95
POINTS: Final = 250
"""At most as many values of k have a bound of their own; between two of them the lower one's holds."""
HALVINGS: Final = 12
MOST_STEPS: Final = 5000
PARTS: Final = 10
"""How many of the surest parts are tried with more pictures."""
MOST_FACTOR: Final = 1000.0
GROWTH: Final = 1.05

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def steps_of(scores: Floats, wrong: Bools, label: str | None = None) -> ErrorSteps:
    """Return how far one can go down the pictures, surest first, with each number of errors.

    Args:
        scores: probabilities of the likeliest labels, (N,).
        wrong: whether those are wrong, (N,).
        label: the only likeliest label among these pictures, if it is one.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], wrong[order]
    # Pictures with equal scores are decided together or not at all.
    decided = np.searchsorted(-ranked, -ranked[hits], side="left")
    decided = np.append(decided, len(ranked))[:MOST_STEPS]
    lowest = [float(ranked[count - 1]) if count else 1.0 for count in decided]
    return ErrorSteps(label=label, images=len(ranked), decided=decided.tolist(), thresholds=lowest)


def evidence(
    scores: Floats,
    truth: Ints,
    taken_for: Ints,
    known: Bools,
    label_names: Sequence[str],
    candidates: int = 1,
    cross_fitted: int = 0,
) -> Selective:
    """Return what guarantees rest on: of N held-out pictures, those that are not "none of these".

    Args:
        scores: probabilities of the likeliest labels, (N,).
        truth: class numbers, (N,).
        taken_for: numbers of the likeliest labels, (N,).
        known: whether each resembles what the model knows, (N,).
        label_names: of the classes.
        candidates: among how many networks these pictures chose: each of them counts as a test.
        cross_fitted: how many of the pictures are not held out, see `training.cross_fitting`.
    """
    scores, wrong, taken_for = scores[known], (truth != taken_for)[known], taken_for[known]
    by_label = [
        steps_of(scores[mine], wrong[mine], name)
        for number, name in enumerate(label_names)
        if (mine := taken_for == number).any()
    ]
    return Selective(
        images=len(truth),
        cross_fitted=cross_fitted,
        candidates=candidates,
        all_labels=steps_of(scores, wrong),
        by_label=by_label,
    )


def guarantee(found: Selective, target_error: float, confidence: float = CONFIDENCE) -> Guarantee:
    """Return the threshold for a target, and how much is decided; for each label by itself, too.

    The confidence is that of all decisions together, and of each label alone.
    """
    whole = overall(found, target_error, confidence)
    level = (1 - confidence) / found.candidates
    whole.by_label = [_of_steps(part, part.images, target_error, confidence, level) for part in found.by_label]
    return whole


def overall(found: Selective, target_error: float, confidence: float = CONFIDENCE) -> Guarantee:
    """Return the same, but not for each label."""
    level = (1 - confidence) / found.candidates
    whole = _of_steps(found.all_labels, found.images, target_error, confidence, level)
    if others := found.cross_fitted:
        # More of these count as known than of new pictures.
        whole.cross_fitted, whole.coverage = others, (1 - MIN_KNOWN) * whole.decided / found.all_labels.images
    return whole


def _of_steps(steps: ErrorSteps, images: int, rate: float, confidence: float, level: float) -> Guarantee:
    met = None
    if steps.images and (1 - rate) ** steps.images <= level:
        points, allowed = bounds(steps.images, rate, level)
        decided = np.asarray(steps.decided)
        at = np.searchsorted(points, decided, side="right") - 1
        fits = (at >= 0) & (np.arange(len(decided)) <= allowed[at])
        met = int(np.flatnonzero(fits)[-1]) if fits.any() else None
    told = {"label": steps.label, "target_error": rate, "confidence": confidence, "images": images}
    if met is None:
        return Guarantee(**told, more_images=more_images(steps, images, rate, level))
    count = steps.decided[met]
    return Guarantee(
        **told,
        threshold=steps.thresholds[met],
        decided=count,
        errors=met,
        coverage=count / images,
        bound=min(rate, upper_limit(met, count, level)),
    )


@lru_cache(maxsize=1024)
def bounds(images: int, rate: float, level: float) -> tuple[Ints, Ints]:
    """Return points k (P,), ascending, and how many errors are allowed among the first k, (P,); -1 for none.

    A walk of `images` independent errors of probability `rate` is at or below its bound at any point with a probability
    of at most `level`. Each point's own share of it grows with k: what decides much is tried hardest.
    """
    points = np.unique(np.ceil(np.linspace(0, images, min(images, POINTS) + 1)[1:])).astype(np.int64)
    most = math.ceil(images * rate) + 1
    widths = np.diff(points, prepend=0)
    jumps = {int(width): pmf(np.arange(min(int(width), most) + 1), int(width), rate) for width in np.unique(widths)}

    def walk(allowed: Ints | None) -> tuple[float, list[Floats]]:
        chances, crossed, tails = np.eye(1, most + 1)[0], 0.0, []
        for place, width in enumerate(widths):
            chances = np.convolve(chances, jumps[int(width)])[: most + 1]
            tails.append(np.cumsum(chances))
            if allowed is not None:
                crossed += float(chances[: allowed[place] + 1].sum())
                chances[: allowed[place] + 1] = 0
        return crossed, tails

    tails = walk(None)[1]

    def allowed_at(factor: float) -> Ints:
        limits = (level * factor * np.sqrt(points / images)).tolist()
        return np.array(
            [np.searchsorted(tail, limit, side="right") - 1 for tail, limit in zip(tails, limits, strict=True)]
        )

    low, high = 0.0, 1.0
    if walk(allowed_at(high))[0] <= level:
        low = high
    for _ in range(HALVINGS if low < high else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if walk(allowed_at(middle))[0] <= level else (low, middle)
    return points, allowed_at(low)


def pmf(errors: Ints, images: int, rate: float) -> Floats:
    """Return the binomial probabilities of these numbers of errors, each at most `images`."""
    ways = [math.lgamma(images + 1) - math.lgamma(count + 1) - math.lgamma(images - count + 1) for count in errors]
    chances: Floats = np.exp(np.array(ways) + errors * math.log(rate) + (images - errors) * math.log1p(-rate))
    return chances


def tail(errors: int, images: int, rate: float) -> float:
    """Return the probability of at most this many errors."""
    return 1.0 if errors >= images else float(pmf(np.arange(errors + 1), images, rate).sum())


def upper_limit(errors: int, images: int, level: float) -> float:
    """Return the one-sided upper limit of a binomial proportion (Clopper and Pearson, Biometrika 1934)."""
    low, high = errors / images, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(errors, images, middle) > level else (low, middle)
    return high


def more_images(steps: ErrorSteps, images: int, rate: float, level: float) -> int | None:
    """Return about how many more held-out pictures would do, if they were like these; None if none would.

    The test of the surest part alone, with half of the level because others are tried too.
    """
    if not steps.images:
        return math.ceil(math.log(level / 2) / math.log1p(-rate))
    parts = [(count, errors) for errors, count in enumerate(steps.decided) if errors < count * rate]
    parts = sorted(parts, key=lambda part: (part[1] + 1) / part[0])[:PARTS]
    factor = GROWTH
    while parts and factor < MOST_FACTOR:
        if any(tail(math.ceil(errors * factor), int(count * factor), rate) <= level / 2 for count, errors in parts):
            return math.ceil(images * (factor - 1))
        factor *= GROWTH
    return None
