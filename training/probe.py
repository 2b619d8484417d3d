"""A linear classifier on frozen features: logistic regression with an L2 penalty. Arrays only.

Features are standardised to mean 0 and deviation 1 over the training images. The penalty is the strongest whose
cross-validated loss is within one standard error of the lowest (Breiman, Friedman, Olshen and Stone, "Classification
and Regression Trees", 1984): with a few hundred images the loss hardly distinguishes weaker ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit, log_softmax
from threadpoolctl import threadpool_limits

from training.targets import Sets

PENALTIES: Final = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
"""Factors of half the sum of the squared weights, relative to the mean loss; strongest first."""
FOLDS: Final = 5
VALIDATED_IMAGES: Final = 2000
"""Most images to choose the penalty on."""
SEARCH_ITERATIONS: Final = 20
"""L-BFGS iterations of each fit in the cross-validation."""
SEED: Final = 42
THREADED: Final = 10**8
"""Multiplications of a step from which several threads pay; below, they wait for each other by spinning, which costs
eight times the processor time."""

Floats = NDArray[np.floating]
Step = Callable[["Linear"], bool]
"""Called after each iteration with the classifier so far; returns whether to continue."""


@dataclass(frozen=True)
class Linear:
    """Logits of features (N, D) are `features @ weights + biases`; weights (D, C), biases (C,)."""

    weights: Floats
    biases: Floats

    def logits(self, features: Floats) -> Floats:
        found: Floats = features @ self.weights + self.biases
        return found


@dataclass(frozen=True)
class Problem:
    """Training data.

    Attributes:
        features: of the training images, (N, D).
        sets: their classes, (N, C); exactly one each if `exclusive`.
        exclusive: a softmax over the classes; otherwise a sigmoid for each.
        class_weights: (C,), or None for equal weights.
    """

    features: Floats
    sets: Sets
    exclusive: bool
    class_weights: Floats | None = None

    def part(self, rows: NDArray[np.bool_] | slice) -> "Problem":
        return Problem(self.features[rows], self.sets[rows], self.exclusive, self.class_weights)

    def losses(self, logits: Floats) -> tuple[Floats, Floats]:
        """Return each image's cross-entropy (N,), and its gradient by the logits (N, C).

        Their means are the loss as torch computes it: weighted by class and divided by the sum of the weights, or by C.
        """
        if self.exclusive:
            weights = self._image_weights()
            logs = log_softmax(logits, axis=1)
            return -weights * logs[self.sets], weights[:, None] * (np.exp(logs) - self.sets)
        weights = (np.ones(self.sets.shape[1]) if self.class_weights is None else self.class_weights) / len(logits.T)
        costs = -np.where(self.sets, log_expit(logits), log_expit(-logits)) @ weights
        return costs, weights * (expit(logits) - self.sets)

    def _image_weights(self) -> Floats:
        """Return the weight of each image's class, mean 1, (N,)."""
        if self.class_weights is None:
            return np.ones(len(self.sets))
        weights = self.class_weights[self.sets.argmax(axis=1)]
        found: Floats = weights / weights.mean()
        return found


def fit(
    problem: Problem, iterations: int, step: Step | None = None, penalty: float | None = None
) -> tuple[Linear, float]:
    """Return the classifier and its penalty.

    Args:
        problem: at least one image.
        iterations: most iterations of L-BFGS.
        step: called with the classifier after each of them.
        penalty: chosen by cross-validation by default.
    """
    steps = problem.features.size * problem.sets.shape[1]
    with threadpool_limits(None if steps >= THREADED else 1, user_api="blas"):
        return _fit(problem, iterations, step, penalty)


def _fit(problem: Problem, iterations: int, step: Step | None, penalty: float | None) -> tuple[Linear, float]:
    mean, deviation = problem.features.mean(axis=0), problem.features.std(axis=0)
    scale = 1 / np.where(deviation > 1e-6 * np.abs(mean) + 1e-12, deviation, np.inf)  # drops constant features
    rows, directions = _rotated((problem.features - mean) * scale)
    rotated = Problem(rows, problem.sets, problem.exclusive, problem.class_weights)

    def of_features(found: Linear) -> Linear:
        weights = scale[:, None] * (directions @ found.weights)
        return Linear(weights, found.biases - mean @ weights)

    penalty = choose_penalty(rotated) if penalty is None else penalty
    found = solve(rotated, penalty, iterations, step and (lambda linear: step(of_features(linear))))
    return of_features(found), penalty


def choose_penalty(problem: Problem) -> float:
    """Return the strongest penalty that is as good as the best, by cross-validation."""
    problem = problem.part(slice(None, None, -(-len(problem.sets) // VALIDATED_IMAGES)))
    images = len(problem.sets)
    if images < 2 * FOLDS:
        return PENALTIES[len(PENALTIES) // 2]
    fold_of = np.random.default_rng(SEED).permutation(images) % FOLDS
    costs = np.empty((len(PENALTIES), images))
    for fold in range(FOLDS):
        held_out = fold_of == fold
        learnt, judged = problem.part(~held_out), problem.part(held_out)
        for number, penalty in enumerate(PENALTIES):
            found = solve(learnt, penalty, SEARCH_ITERATIONS)
            costs[number, held_out] = judged.losses(found.logits(judged.features))[0]
    means = costs.mean(axis=1)
    best = int(means.argmin())
    error = costs[best].std() / np.sqrt(images)
    return PENALTIES[int((means <= means[best] + error).argmax())]


def solve(problem: Problem, penalty: float, iterations: int, step: Step | None = None) -> Linear:
    """Return the classifier that minimises the penalised loss, by L-BFGS from zero weights."""
    (images, width), classes = problem.features.shape, problem.sets.shape[1]

    def unpacked(values: Floats) -> Linear:
        return Linear(values[classes:].reshape(width, classes), values[:classes])

    def cost(values: Floats) -> tuple[float, Floats]:
        linear = unpacked(values)
        losses, slopes = problem.losses(linear.logits(problem.features))
        slopes = slopes / images
        weights = problem.features.T @ slopes + penalty * linear.weights
        total = float(losses.mean()) + penalty / 2 * float(np.square(linear.weights).sum())
        return total, np.concatenate([slopes.sum(axis=0), weights.ravel()])

    def after(intermediate_result: Any) -> None:
        if step is not None and not step(unpacked(intermediate_result.x.copy())):
            raise StopIteration

    start = np.zeros(classes * (1 + width))
    if not iterations:  # scipy would still do one
        return unpacked(start)
    found = minimize(cost, start, jac=True, method="L-BFGS-B", callback=after, options={"maxiter": iterations})
    return unpacked(found.x)


def _rotated(rows: Floats) -> tuple[Floats, Floats]:
    """Return rows (N, K) and directions (D, K) whose product with them gives the rows (N, D): K = N where N < D.

    The solution of a penalised problem lies in the span of the rows, and a rotation changes no penalty.
    """
    rows = rows.astype(np.float64)
    if len(rows) >= rows.shape[1]:
        return rows, np.eye(rows.shape[1])
    directions, _ = np.linalg.qr(rows.T)
    return rows @ directions, directions
