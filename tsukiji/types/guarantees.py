"""Guarantees: how often decisions are wrong, at most."""

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
    """Held-out images, with those that are none of the labels."""
    candidates: int = 1
    """Epochs among which these images chose; each counts as a test of its own."""
    all_labels: ErrorSteps
    by_label: list[ErrorSteps] = []


class Guarantee(Answer):
    """With this confidence at most `target_error` of what the threshold decides is wrong, for images like these.

    Without a `threshold` that cannot be promised with these images.
    """

    label: str | None = None
    """Of the decisions for this label alone, by a threshold of its own; null: of all."""
    target_error: float
    confidence: float
    threshold: float | None = None
    coverage: float = 0.0
    """Fraction of the held-out images that would be decided."""
    decided: int = 0
    errors: int = 0
    """Of those decided."""
    bound: float | None = None
    """Upper limit of the fraction that is wrong, from these errors; at most the target."""
    images: int
    """Held-out images that this rests on."""
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
