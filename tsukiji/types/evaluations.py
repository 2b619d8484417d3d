"""How good a model is."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from tsukiji.types.base import Answer, Metadata, Request, Split
from tsukiji.types.execution import Execution
from tsukiji.types.guarantees import Guarantee, Selective, SetLimit


class ClassMetrics(Answer):
    """Fractions of 1; `support` counts the images whose true label this is.

    Null if unknown: all three if there are no such images, the precision also if no image was predicted as
    the label.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


class ClassCurves(Answer):
    """One class against all others, by its probability; null if all images are of it, or none is."""

    label: str
    roc_auc: float | None
    average_precision: float | None
    roc: list[tuple[float, float]] = []
    """(false positive rate, true positive rate), thinned out."""
    precision_recall: list[tuple[float, float]] = []
    """(recall, precision), thinned out."""


class ReliabilityBin(Answer):
    """The images whose top probability is `low` to `high`: mean confidence and accuracy.

    In a multi-label evaluation each label of each image counts: mean probability, and how often it was present.
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
    """If images below this top probability are left to a person: coverage, and accuracy of the rest."""

    threshold: float
    coverage: float
    accuracy: float | None


class ConfusedPair(Answer):
    true_label: str
    predicted_label: str
    images: int


class LeftOut(Answer):
    """A class left out of the statistics: how many of its images are then accepted as known."""

    label: str
    images: int
    false_acceptances: float
    auroc: float


class GivenUnknown(Answer):
    images: int
    false_acceptances: float
    auroc: float


class UnknownMetrics(Answer):
    """How well "none of these" works at the model's own threshold; fractions of 1."""

    method: str
    min_known: float
    false_rejections: float
    """Of held-out images, by a threshold that was fitted on others of them (five folds)."""
    false_acceptances: float | None
    """Mean over the classes, each left out in turn; null for multi-label models."""
    left_out: list[LeftOut] = []
    given: GivenUnknown | None = None
    """Measured on the user's images of other things, and on held-out images with none of the labels."""


class LabelCounts(Answer):
    """One label of a multi-label model against its absence: true and false positives, false and true negatives."""

    label: str
    threshold: float | None
    """Minimum probability for the label; null if unknown."""
    average_precision: float | None
    """Null if all images have the label, or none has."""
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


class SetSweepPoint(Answer):
    """If all labels had this one threshold: precision, recall and F1 of all labels of all images together.

    Null if no probability reaches it, or no label is present.
    """

    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None


class MultiLabelMetrics(Answer):
    """Metrics of a multi-label model beyond its single labels; fractions of 1."""

    mean_average_precision: float | None
    """Mean of the labels' average precisions, which do not depend on thresholds."""
    micro_f1: float | None
    """Over all labels of all images together."""
    macro_f1: float | None
    """Mean of the labels' F1, where known."""
    hamming_loss: float
    """Fraction of all labels of all images that are decided wrongly."""
    empty: int
    """Images that have none of the labels."""
    empty_found: int
    """Those of them that were predicted to have none."""
    per_label: list[LabelCounts]
    co_occurrence: list[list[int]]
    """`[i][j]`: images that have both `label_names[i]` and `label_names[j]`; on the diagonal, the label itself."""
    predicted_co_occurrence: list[list[int]]
    sweep: list[SetSweepPoint] = []


class Metrics(Answer):
    """Results of an evaluation. `confusion[i][j]` counts images of `label_names[i]` predicted as `label_names[j]`.

    For a multi-label model, `per_class` and `accuracy` are at its thresholds, `confusion`, `most_confused` and
    `sweep` are empty, and `multi_label` is set instead.
    """

    accuracy: float
    """For a multi-label model: fraction of images with exactly the right set of labels."""
    accuracy_interval: tuple[float, float] | None = None
    """95% Wilson score interval."""
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
    execution: Execution | None = None
    """What computed the embeddings; null in evaluations by earlier versions."""
    guarantees: list[Guarantee] = []
    """What can be decided with at most 0.5, 1, 2 and 5% of it wrong, with a confidence of 95%."""
    selective: Selective | None = None
    """What those rest on; null for multi-label models, and in evaluations by earlier versions."""
    prediction_sets: list[SetLimit] = []


class Leakage(Answer):
    """Near-duplicates across the split: what was found, and what was moved."""

    near_duplicate_groups: int = 0
    """Groups of pictures that look the same."""
    near_duplicates: int = 0
    """Pictures in them."""
    moved: int = 0
    """Pictures that were moved to their group's side of the split."""
    straddling: int = 0
    """Groups on both sides because the user set their splits."""
    groups: int = 0
    """The user's own groups."""


class EvaluationCreate(Request):
    model: str = Field(description="Model id, alias or name.", examples=["production"])
    dataset: str = Field(description="Id or name of a data set; its labelled images are classified.")
    split: Split | None = Field(
        None, description="Only images of this split, as it was in the model's training; all if null."
    )
    deadline_seconds: int | None = Field(
        None, ge=1, le=30 * 86400, description="Time limit; the service's default if null."
    )
    metadata: Metadata = {}


class Evaluation(Answer):
    """Lists leave out the curves, the sweep and the guarantees' grounds of `metrics`."""

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
    """Images that the model was trained on: its figures on those are too good."""
    warnings: list[dict[str, Any]] = []
    """Caveats about the figures: `code` and `detail`."""
    leakage: Leakage | None = None
    created_at: datetime
    links: dict[str, str] = {}

    def _told(self) -> Iterator[tuple[str, Any]]:
        yield "id", self.id
        yield "model_id", self.model_id
        yield "split", self.split
        yield "accuracy", self.metrics.accuracy
        yield "images", self.metrics.images
        yield "labels", len(self.metrics.label_names)


class EvaluationItem(Answer):
    """One held-out image: true label, predicted label, and loss (cross-entropy, nats)."""

    seq: int
    image_id: str | None
    name: str
    sha256: str
    true_label: str | None
    """Null if images have several labels, as is `predicted_label`."""
    true_labels: list[str] = []
    predicted_label: str | None
    predicted_labels: list[str] = []
    score: float
    """The probability of the likeliest label."""
    loss: float
    known_score: float | None = None
    links: dict[str, str] = {}


class ComparedClass(Answer):
    """One label of a comparison: how many of its images each model gets right."""

    label: str
    images: int
    right_a: int
    right_b: int
    difference: float
    """Of the recalls, b minus a."""
    p_value: float


class ComparedImage(Answer):
    """An image that the two models classify differently."""

    image_id: str | None
    name: str
    sha256: str
    true_label: str | None
    """Null if images have several labels, as are `label_a` and `label_b`."""
    label_a: str | None
    label_b: str | None
    true_labels: list[str] = []
    labels_a: list[str] = []
    labels_b: list[str] = []
    score_a: float
    score_b: float
    links: dict[str, str] = {}


class Comparison(Answer):
    """Two evaluations on the images they share; differences are b minus a, fractions of 1."""

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
    """For multi-label models, if both evaluations have the same images; else null."""
    mean_average_precision_b: float | None = None
    difference: float
    """Of the accuracies."""
    difference_interval: tuple[float, float]
    """95%, for matched pairs: what the test of `p_value` does not reject (Tango 1998)."""
    right_only_a: int
    right_only_b: int
    p_value: float
    """McNemar's test: the probability of at least this difference by chance alone."""
    classes_better: int
    classes_worse: int
    per_class: list[ComparedClass]
    """Largest losses first."""
    changed: int
    """Images that the models classify differently."""
    changes: list[ComparedImage]
    """The first hundred of them: those that b gets wrong and a right first, then the reverse."""
    summary: str
    links: dict[str, str] = {}

    def _told(self) -> Iterator[tuple[str, Any]]:
        yield "model_a", self.model_a
        yield "model_b", self.model_b
        yield "images", self.images
        yield "summary", self.summary


class LabelSuspect(Answer):
    """An image whose label may be wrong: out-of-fold predictions disagree with it."""

    rank: int
    image_id: str | None
    name: str
    sha256: str
    split: Split
    label: str | None
    """Null if images have several labels, as is `suggested_label`."""
    labels: list[str] = []
    suggested_label: str | None
    suggested_labels: list[str] = []
    """The suggested set: without labels that seem wrong, with labels that seem to be missing."""
    score: float
    """Of the given label, out of fold; low is suspicious. Of several labels, that of the most suspicious one."""
    links: dict[str, str] = {}
