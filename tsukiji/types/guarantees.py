"""Guarantees: how often decisions are wrong, at most."""

from typing import Literal

from tsukiji.types.base import Answer


class ErrorSteps(Answer):
    """Held-out images that the model knows, surest first: `decided[i]` of them have at most `i` errors.

    `thresholds[i]` is the lowest probability among those. At most 5,000 errors are listed.
    """

    label: str | None = None
    """The images with this predicted label; null: all."""
    images: int
    decided: list[int]
    thresholds: list[float]


class Selective(Answer):
    """What guarantees for this model rest on."""

    images: int
    """Held-out images, with those that are none of the labels, and cross-fitted ones."""
    cross_fitted: int = 0
    """How many of these the model learnt from: others, fitted like it on the rest, judged them."""
    candidates: int = 1
    """Epochs among which these images chose; each counts as a test of its own."""
    all_labels: ErrorSteps
    by_label: list[ErrorSteps] = []


class Guarantee(Answer):
    """With this confidence at most `target_error` of what the threshold decides is wrong, for images like these.

    Where it rests on cross-fitted images, that is of models fitted like this one, on average.

    Without a `threshold` that cannot be promised with these images.
    """

    label: str | None = None
    """Of the decisions for this label alone, by a threshold of its own; null: of all."""
    target_error: float
    confidence: float
    threshold: float | None = None
    coverage: float = 0.0
    """Fraction of these images that would be decided."""
    decided: int = 0
    errors: int = 0
    """Of those decided."""
    bound: float | None = None
    """Upper limit of the fraction that is wrong, from these errors; at most the target."""
    images: int
    """Images that this rests on."""
    cross_fitted: int = 0
    """How many of them are cross-fitted, see `Selective`; told of all decisions together."""
    more_images: int | None = None
    """About how many more labelled images would do; null if none would: the surest are wrong too often."""
    by_label: list["Guarantee"] = []


class SetLimit(Answer):
    """Prediction sets: labels join from the likeliest on up to `limit`; null: all do, as there are too few images."""

    coverage: float
    """Fraction of images whose set has the true label."""
    limit: float | None
    mean_size: float
    """Labels in a set, on the held-out images."""


class GuaranteeCheck(Answer):
    """One decision of the sample that a person checks."""

    seq: int
    custom_id: str
    decision: str
    """What the batch decided."""


class BatchGuarantee(Answer):
    """What was promised of a batch's decisions, whether it holds, and what people found in a random sample of them.

    `status`: `pending` while the batch runs; `promised` before, and `confirmed` once the sample shows that at most
    `target_error` is wrong; `broken` once it shows more; `withdrawn` if the pictures are not like those that the
    promise rests on.
    """

    object: Literal["batch_guarantee"] = "batch_guarantee"
    batch_id: str
    model_id: str
    target_error: float
    confidence: float
    threshold: float
    status: Literal["pending", "promised", "confirmed", "broken", "withdrawn"]
    reason: str | None = None
    """Why it does not hold, or cannot be told yet."""
    decided: int | None = None
    """Images with a decision; null until the batch has succeeded."""
    left: int | None = None
    """Images without one, for a person."""
    sample: int = 0
    """Random decisions to check: as many as confirm the target even if one is wrong."""
    checked: int = 0
    """Those answered, counted in the order of the sample up to the first one that is not."""
    wrong: int = 0
    interval: tuple[float, float] | None = None
    """The part of all decisions that is wrong is in here with this confidence, whenever one looks."""
    checks: list[GuaranteeCheck] = []
    """What is not checked yet of the sample, in its order, at most 100."""
    links: dict[str, str] = {}
