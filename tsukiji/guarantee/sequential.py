"""The error of a batch from a growing random sample of its decisions, valid whenever one looks.

A confidence sequence by betting (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
JRSS B 2023), for samples without replacement, where the bets are those of a prior: the ratio of prior and posterior of
the number of wrong decisions is a martingale (the same, "Confidence sequences for sampling without replacement",
NeurIPS 2020), so it never exceeds 1 / (1 - confidence) with that confidence. When all are checked it is a point.
"""

import numpy as np


def interval(wrong: int, checked: int, decided: int, target: float, confidence: float) -> tuple[float, float]:
    """Return the lowest and highest fraction of wrong decisions.

    Args:
        wrong: of those checked.
        checked: a random sample, as large as it is now; which answers stop it does not matter.
        decided: all decisions of the batch, at least one.
        target: the fraction that is hoped for; the prior's mean is near it, which makes intervals short there.
        confidence: with which the fraction is inside, at all times.
    """
    prior_right = max(1, round(1 / target))
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, decided + prior_right + 1)))])
    bad = np.arange(wrong, decided - (checked - wrong) + 1)
    good, left = decided - bad, decided - checked
    likelihood = (
        factorials[left] - factorials[bad - wrong] - factorials[left - bad + wrong] + factorials[bad] + factorials[good]
    )  # but for a constant: of this sample, given how many are bad
    prior = factorials[good + prior_right - 1] - factorials[good]
    every = np.arange(decided + 1)
    whole = np.logaddexp.reduce(factorials[every + prior_right - 1] - factorials[every])
    marginal = np.logaddexp.reduce(likelihood + prior) - whole
    inside = bad[likelihood >= marginal + np.log(1 - confidence)]
    return float(inside[0] / decided), float(inside[-1] / decided)


def sample_size(decided: int, target: float, confidence: float) -> int:
    """Return the least number of checked decisions that confirms the target even if one of them is wrong."""
    low, high = 0, decided
    while high - low > 1:
        middle = (low + high) // 2
        if interval(min(1, middle), middle, decided, target, confidence)[1] <= target:
            high = middle
        else:
            low = middle
    return high
