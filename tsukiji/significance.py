"""Whether a difference between two models on the same images may be chance."""

import math


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the two-sided p-value of McNemar's test.

    If both models were equally good, an image that only one of them gets right would be either one's with equal
    probability. This is the score test without continuity correction: of the tests for matched pairs it keeps its level
    best. (The exact binomial test is too conservative: Fagerland, Lydersen and Laake, "The McNemar test for binary
    matched-pairs data", BMC Medical Research Methodology 13 (2013).)
    """
    return math.erfc(abs(only_a - only_b) / math.sqrt(2 * (only_a + only_b))) if only_a + only_b else 1.0
