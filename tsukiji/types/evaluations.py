"""How good a model is."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from tsukiji.types.base import Answer, Metadata, Request, Split


class ClassMetrics(Answer):
    """Fractions of 1; `support` counts the images whose true label this is.

    Null is what is not known: all three where there are no such images, the precision also where none was given the
    label.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


class ClassCurves(Answer):
    """One class against all others, by its probability; null where the images are all of it, or none is."""

    label: str
    roc_auc: float | None
    average_precision: float | None
    roc: list[tuple[float, float]] = []
    """(false positive rate, true positive rate), thinned out."""
    precision_recall: list[tuple[float, float]] = []
    """(recall, precision), thinned out."""


class ReliabilityBin(Answer):
    """The images whose top probability is `low` to `high`: how sure the model was, and how often right.

    Where an image has several labels, each label counts as one: how probable it was, and how often it was there.
    """

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float


class CalibrationMetrics(Answer):
    """Expected calibration error (ECE_sweep: bins of equally many images) of raw and of calibrated probabilities."""

    temperature: float
    ece_before: float
    ece_after: float
    """Each image by a temperature fitted without it (five folds), where the temperature was fitted on these images."""
    bins: list[ReliabilityBin]


class SweepPoint(Answer):
    """If images below this top probability are left to a person: what part is decided, and how much of it right."""

    threshold: float
    coverage: float
    accuracy: float | None


class ConfusedPair(Answer):
    true_label: str
    predicted_label: str
    images: int


class LeftOut(Answer):
    """A class that the statistics were made without: how many of its images are then taken for known."""

    label: str
    images: int
    false_acceptances: float
    auroc: float


class GivenUnknown(Answer):
    images: int
    false_acceptances: float
    auroc: float


class UnknownMetrics(Answer):
    """How well "none of these" is told, at the model's own threshold; fractions of 1."""

    method: str
    min_known: float
    false_rejections: float
    """Of held-out images, by a threshold that was fitted on others of them (five folds)."""
    false_acceptances: float | None
    """Mean over the classes, each left out in turn; null where an image has several labels."""
    left_out: list[LeftOut] = []
    given: GivenUnknown | None = None
    """Measured on the images of other things that the user gave, and on held-out ones that have none of the labels."""


class LabelCounts(Answer):
    """One label of a model of several, against its absence: true and false positives, false and true negatives."""

    label: str
    threshold: float | None
    """From this probability on an image has the label; null where it is not known."""
    average_precision: float | None
    """Null where all images have the label, or none has."""
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


class SetSweepPoint(Answer):
    """If all labels had this one threshold: precision, recall and F1 of all labels of all images together.

    Null where none reaches it, or none is there.
    """

    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None


class MultiLabelMetrics(Answer):
    """What is said of a model of several labels beside the single labels; fractions of 1."""

    mean_average_precision: float | None
    """Mean of the labels' average precisions: how well each ranks the images, whatever the thresholds."""
    micro_f1: float | None
    """Of all labels of all images together."""
    macro_f1: float | None
    """Mean of the labels' F1, as far as these are known."""
    hamming_loss: float
    """What part of all labels of all images is decided wrongly."""
    empty: int
    """Images that have none of the labels."""
    empty_found: int
    """Those of them for which no label was decided."""
    per_label: list[LabelCounts]
    co_occurrence: list[list[int]]
    """`[i][j]`: images that have both `label_names[i]` and `label_names[j]`; on the diagonal, the label itself."""
    predicted_co_occurrence: list[list[int]]
    sweep: list[SetSweepPoint] = []


class Metrics(Answer):
    """What an evaluation found. `confusion[i][j]` counts images of `label_names[i]` taken for `label_names[j]`.

    Of a model of several labels, `per_class` and `accuracy` are at its thresholds, `confusion`, `most_confused` and
    `sweep` are empty, and what there is in their place stands in `multi_label`.
    """

    accuracy: float
    """Of a model of several labels: what part of the images got exactly its set of labels."""
    accuracy_interval: tuple[float, float] | None = None
    """95%, by Wilson's score."""
    loss: float
    images: int
    label_names: list[str]
    per_class: list[ClassMetrics]
    confusion: list[list[int]]
    most_confused: list[ConfusedPair] = []
    curves: list[ClassCurves] = []
    calibration: CalibrationMetrics | None = None
    sweep: list[SweepPoint] = []
    unknown: UnknownMetrics | None = None
    multi_label: MultiLabelMetrics | None = None


class Leakage(Answer):
    """Pictures that would have stood on both sides: what was found, and what was done about it."""

    near_duplicate_groups: int = 0
    """Groups of pictures that look the same."""
    near_duplicates: int = 0
    """Pictures in them."""
    moved: int = 0
    """Pictures that were given their group's split, which the draw alone would have put on the other side."""
    straddling: int = 0
    """Groups that stand on both sides because the user set their splits so."""
    groups: int = 0
    """The user's own groups."""


class EvaluationCreate(Request):
    model: str = Field(description="Model id, alias or name.", examples=["production"])
    dataset: str = Field(description="Id or name of a data set; its labelled images are classified.")
    split: Split | None = Field(None, description="Only these; a split as the model's training saw it. All if null.")
    deadline_seconds: int | None = Field(
        None, ge=1, le=30 * 86400, description="Give up if it is not done by then; the service's default if null."
    )
    metadata: Metadata = {}


class Evaluation(Answer):
    """In lists `metrics` come without their curves and sweep."""

    object: Literal["evaluation"] = "evaluation"
    id: str
    model_id: str
    dataset_id: str | None
    snapshot_id: str | None
    split: Split | Literal["all"]
    metrics: Metrics
    errored: int = 0
    """Images that could not be read; they are left out of the metrics."""
    seen_in_training: int = 0
    """Images that the model learnt from: on those it looks better than it is."""
    warnings: list[dict[str, Any]] = []
    """What a reader should know first: `code` and `detail`."""
    leakage: Leakage | None = None
    created_at: datetime
    links: dict[str, str] = {}


class EvaluationItem(Answer):
    """One held-out image: what it is, what it was taken for, and how much that costs (cross-entropy, nats)."""

    seq: int
    image_id: str | None
    name: str
    sha256: str
    true_label: str | None
    """Null where an image has several labels, as is `predicted_label`."""
    true_labels: list[str] = []
    predicted_label: str | None
    predicted_labels: list[str] = []
    score: float
    """The probability of the likeliest label."""
    loss: float
    known_score: float | None = None
    links: dict[str, str] = {}


class ComparedClass(Answer):
    """One label of a comparison: how many of its images each model names rightly, or finds among several labels."""

    label: str
    images: int
    right_a: int
    right_b: int
    difference: float
    """Of the recalls, b less a."""
    p_value: float


class ComparedImage(Answer):
    """An image that two models take for different labels."""

    image_id: str | None
    name: str
    sha256: str
    true_label: str | None
    """Null where images have several labels, as are `label_a` and `label_b`."""
    label_a: str | None
    label_b: str | None
    true_labels: list[str] = []
    labels_a: list[str] = []
    labels_b: list[str] = []
    score_a: float
    score_b: float
    links: dict[str, str] = {}


class Comparison(Answer):
    """Two evaluations on the images that both hold; differences are b less a, fractions of 1."""

    object: Literal["comparison"] = "comparison"
    evaluation_a: str
    evaluation_b: str
    model_a: str
    model_b: str
    images: int
    """Shared, by content, with the same true label in both; only these are compared."""
    only_a: int
    only_b: int
    relabelled: int
    """Shared, but with another true label: left out."""
    accuracy_a: float
    accuracy_b: float
    mean_average_precision_a: float | None = None
    """Of models of several labels, where both evaluations hold the same images; else null."""
    mean_average_precision_b: float | None = None
    difference: float
    """Of the accuracies."""
    difference_interval: tuple[float, float]
    """95%, for matched pairs: what the test of `p_value` does not reject (Tango 1998)."""
    right_only_a: int
    right_only_b: int
    p_value: float
    """McNemar's test: how often chance alone would make at least such a difference."""
    classes_better: int
    classes_worse: int
    per_class: list[ComparedClass]
    """Those that lost most first."""
    changed: int
    """Images that the models take for different labels."""
    changes: list[ComparedImage]
    """The first hundred of them: first those that b gets wrong and a right, then the reverse."""
    summary: str
    links: dict[str, str] = {}


class LabelSuspect(Answer):
    """An image whose label may be wrong: a classifier that never saw it says something else."""

    rank: int
    image_id: str | None
    name: str
    sha256: str
    split: Split
    label: str | None
    """Null where an image has several labels, as is `suggested_label`."""
    labels: list[str] = []
    suggested_label: str | None
    suggested_labels: list[str] = []
    """The whole set that is suggested: without what seems surplus, and with what seems to be missing."""
    score: float
    """Of the given label, out of fold; low is suspicious. Of several labels the worst: one surplus, or one missing."""
    links: dict[str, str] = {}
