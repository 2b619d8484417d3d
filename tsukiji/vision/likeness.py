"""Decides whether two miniatures show the same picture: they are registered, and their gradients correlated.

A copy may have been scaled, recompressed, cut at its edges by up to a tenth, or made brighter or darker. So one of the
two, or a window of it, is laid over the other: first at some scales and places, then moved and stretched to where it
fits best (Gauss-Newton steps; Lucas and Kanade, "An iterative image registration technique", IJCAI 1981). The tones of
one are then mapped to those of the other (the conditional means of the correlation ratio; Roche, Malandain, Pennec and
Ayache, MICCAI 1998), and their gradients are correlated (Scharstein, "Matching images by comparing their gradient
fields", ICPR 1994). docs/explanation/analysis.md has the measurements behind the constants.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tsukiji.vision.miniature import SIDE, Miniatures, colours_of, greys_of

SCALES: Final = (0.96, 0.92, 0.88)
STEPS: Final = 4
"""Positions per axis at which a window is laid over the other picture."""
FITTING: Final = 3
"""Gauss-Newton steps at each of two sizes."""
FARTHEST: Final = 0.06
"""Fraction of the side: the most that one step moves or stretches, and that a window extends beyond its picture."""
NARROWEST: Final = 0.84
TONES: Final = 16
COARSE: Final = SIDE // 2
LEAST: Final = 0.4
"""Correlation at the best initial position, at half size, below which a pair is not fitted. Copies reach 0.48."""
GREY: Final = 3.0
"""Root mean square of the colour differences, of 128, up to which a picture counts as grey."""
AGREEING: Final = 0.5
"""Cosine between the colours of two pictures from which they may be the same. Copies have 0.73 and more."""

Floats = NDArray[np.float32]
Boxes = NDArray[np.float32]
"""Top, left, height and width of windows, as fractions of the side: (P, 4)."""


def likeness(left: Miniatures, right: Miniatures, least: float = LEAST, enough: float = 1.0) -> Floats:
    """Return the similarity of the pictures of each pair (P,), 0 to 1.

    Args:
        left: (P, BYTES); each pair takes half a megabyte.
        right: the same, compared one by one.
        least: pairs less similar than this before fitting are not fitted.
        enough: nor are pairs at least this similar, whole on whole.
    """
    one, other = greys_of(left), greys_of(right)
    found = np.where(agree(left, right), correlate(one, other), 0)
    open_ = np.flatnonzero((found < enough) & agree(left, right))
    if len(open_):
        found[open_] = np.maximum(found[open_], _overlaid(one[open_], other[open_], least))
    alike: Floats = found.clip(0, 1).astype(np.float32)
    return alike


def _overlaid(one: Floats, other: Floats, least: float) -> Floats:
    """Return the correlation of each pair (P,), one laid over the other where it fits best."""
    small = halve(one), halve(other)
    places = np.concatenate([_overlay(*small), _overlay(*small[::-1])], axis=1)
    best = places.argmax(axis=1)
    found: Floats = places.max(axis=1)
    promising = np.flatnonzero(found >= least)
    if len(promising):
        turned = (best[promising] >= len(PLACES))[:, None, None]
        wholes = np.where(turned, other[promising], one[promising])
        others = np.where(turned, one[promising], other[promising])
        boxes = fit(halve(wholes), halve(others), PLACES[best[promising] % len(PLACES)])
        seen = warp(wholes, fit(wholes, others, boxes))
        toned = correlate(toned_as(seen, others), others), correlate(seen, toned_as(others, seen))
        found[promising] = np.maximum(*toned)
    return found


def agree(left: Miniatures, right: Miniatures) -> NDArray[np.bool_]:
    """Return whether the colours of each pair (P,) may be of the same picture; a grey copy matches any colours."""
    one, other = colours_of(left), colours_of(right)
    strengths = np.sqrt(np.square(one).mean(axis=1)), np.sqrt(np.square(other).mean(axis=1))
    cosine = (one * other).mean(axis=1) / np.maximum(strengths[0] * strengths[1], 1e-6)
    verdict: NDArray[np.bool_] = (np.minimum(*strengths) <= GREY) | (cosine >= AGREEING)
    return verdict


def fit(wholes: Floats, others: Floats, boxes: Boxes) -> Boxes:
    """Return windows of `wholes` moved and stretched to fit `others` better, or the given ones if nothing does."""
    count, size = others.shape[:2]
    greys, places = others - others.mean(axis=(1, 2), keepdims=True), (np.arange(size, dtype=np.float32) + 0.5) / size
    down, across = np.zeros_like(greys), np.zeros_like(greys)
    down[:, 1:-1] = (greys[:, 2:] - greys[:, :-2]) * (size / 2)
    across[:, :, 1:-1] = (greys[:, :, 2:] - greys[:, :, :-2]) * (size / 2)
    # Derivatives of the other by position, size, contrast and brightness.
    basis = np.stack([down, across, down * places[:, None], across * places, greys, np.ones_like(greys)], axis=1)
    basis = basis.reshape(count, 6, -1)
    gram = (basis @ basis.transpose(0, 2, 1)).astype(np.float64)
    gram += np.eye(6) * (1 + np.einsum("pii->pi", gram) * (0.01, 0.01, 0.01, 0.01, 0, 0))[:, None]
    solve = np.linalg.inv(gram).astype(np.float32)
    seen, kept = warp(wholes, boxes), boxes
    best = correlate(seen, others)
    for _ in range(FITTING):
        found = (solve @ (basis @ seen.reshape(count, -1, 1)))[..., 0]
        change = (found[:, :4] / np.maximum(found[:, 4:5], 0.2)).clip(-FARTHEST, FARTHEST)
        boxes = boxes - boxes[:, [2, 3, 2, 3]] * change
        boxes = boxes.clip(*BOUNDS)
        seen = warp(wholes, boxes)
        alike = correlate(seen, others)
        better = alike > best
        kept, best = np.where(better[:, None], boxes, kept), np.maximum(best, alike)
    return kept


def toned_as(greys: Floats, wanted: Floats) -> Floats:
    """Return pictures (P, S, S) with their tones mapped to the other's average at the same places."""
    lowest = greys.min(axis=(1, 2), keepdims=True)
    tones = (greys - lowest) * ((TONES - 1) / np.maximum(np.ptp(greys, axis=(1, 2), keepdims=True), 1))
    below = tones.astype(np.intp).clip(0, TONES - 2)
    above = (tones - below).ravel()
    at = (below + TONES * np.arange(len(greys))[:, None, None]).ravel()
    targets, count = wanted.ravel(), TONES * len(greys)
    weights = np.bincount(at, 1 - above, count) + np.bincount(at + 1, above, count)
    sums = np.bincount(at, (1 - above) * targets, count) + np.bincount(at + 1, above * targets, count)
    curve = sums / np.maximum(weights, 1e-6)
    toned: Floats = ((1 - above) * curve[at] + above * curve[at + 1]).astype(np.float32)
    return toned.reshape(greys.shape)


def correlate(one: Floats, other: Floats) -> Floats:
    """Return the correlation of the gradients of each two pictures (P, S, S)."""
    slopes = [(_slopes_across(greys), _slopes_down(greys)) for greys in (one, other)]
    products, squares, others = (
        sum(np.einsum("pyx,pyx->p", *two) for two in zip(*which, strict=True))
        for which in (slopes, [slopes[0]] * 2, [slopes[1]] * 2)
    )
    correlation: Floats = products / np.sqrt(np.maximum(squares * others, 1e-6))
    return correlation


def _slopes_across(greys: Floats) -> Floats:
    return greys[:, 1:-1, 2:] - greys[:, 1:-1, :-2]


def _slopes_down(greys: Floats) -> Floats:
    return greys[:, 2:, 1:-1] - greys[:, :-2, 1:-1]


def halve(greys: Floats) -> Floats:
    half = greys.shape[1] // 2
    small: Floats = greys.reshape(len(greys), half, 2, half, 2).mean(axis=(2, 4))
    return small


def warp(greys: Floats, boxes: Boxes) -> Floats:
    """Return the windows of pictures (P, S, S), scaled up to the whole."""
    size = greys.shape[1]
    whole: Floats = lines(boxes[:, 0], boxes[:, 2], size) @ greys
    return whole @ lines(boxes[:, 1], boxes[:, 3], size).transpose(0, 2, 1)


def lines(starts: Floats, lengths: Floats, size: int) -> Floats:
    """Return matrices (P, size, size) that resample parts of lines, by linear interpolation, extended at the ends."""
    places = (np.arange(size, dtype=np.float32) + 0.5) * lengths[:, None] + starts[:, None] * size - 0.5
    places = places.clip(0, size - 1)
    below = places.astype(np.intp).clip(0, size - 2)
    above = (places - below).astype(np.float32)
    found = np.zeros((len(starts), size, size), np.float32)
    rows = np.arange(len(starts))[:, None], np.arange(size)
    found[(*rows, below)] = 1 - above
    found[(*rows, below + 1)] = above
    return found


def _overlay(wholes: Floats, others: Floats) -> Floats:
    """Return the correlation (P, places) of the gradients of `others` with those of each window of `wholes`."""
    products: Floats = np.zeros((len(wholes), 1), np.float32)
    squares, own = products, products
    for down, across, steps in (
        (INNER_DOWN, STEPS_ACROSS, _slopes_across(others)),
        (STEPS_DOWN, INNER_ACROSS, _slopes_down(others)),
    ):
        windows = (down @ wholes[:, None] @ across).astype(np.float32, copy=False)
        flat, seen = windows.reshape(*windows.shape[:2], -1), steps.reshape(len(steps), -1, 1)
        products = products + (flat @ seen)[..., 0]
        squares = squares + np.einsum("pkx,pkx->pk", flat, flat)
        own = own + np.einsum("pxk,pxk->pk", seen, seen)
    correlation: Floats = (products / np.sqrt(np.maximum(squares * own, 1e-6))).astype(np.float32)
    return correlation


def _places() -> Iterator[tuple[float, float, float, float]]:
    """Yield the windows to lay over another picture: the whole, then parts at all positions."""
    yield 0, 0, 1, 1
    for side in SCALES:
        starts = np.linspace(0, 1 - side, STEPS)
        yield from ((float(top), float(left), side, side) for top in starts for left in starts)


BOUNDS: Final = np.array([[-FARTHEST] * 2 + [NARROWEST] * 2, [1 - NARROWEST] * 2 + [1 + FARTHEST] * 2], np.float32)
PLACES: Final[Boxes] = np.array(list(_places()), np.float32)
# The gradient of a window is linear in its picture, so no window has to be computed for it.
_DOWN = lines(PLACES[:, 0], PLACES[:, 2], COARSE)
_ACROSS = lines(PLACES[:, 1], PLACES[:, 3], COARSE).transpose(0, 2, 1)
INNER_DOWN: Final[Floats] = _DOWN[:, 1:-1]
STEPS_DOWN: Final[Floats] = _DOWN[:, 2:] - _DOWN[:, :-2]
INNER_ACROSS: Final[Floats] = _ACROSS[:, :, 1:-1]
STEPS_ACROSS: Final[Floats] = _ACROSS[:, :, 2:] - _ACROSS[:, :, :-2]
