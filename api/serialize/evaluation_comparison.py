"""The response that compares two evaluations on the images they share."""

from typing import Final

from api.serialize import records
from api.serialize.comparison import (
    add_up,
    compare_classes,
    count_pairs,
    difference_interval,
    pairs_of_labels,
    summarise,
)
from db import registry
from db.models import Evaluation
from db.predictions import comparisons
from db.session import Session
from tsukiji.errors import KindMismatch, NoSharedImages
from tsukiji.types import Comparison

LISTED_CHANGES: Final = 100


def compare(session: Session, a: str, b: str) -> Comparison:
    """Compare two evaluations, by their ids; differences are b minus a.

    Raises:
        NotFound
        KindMismatch: only one of the models is multi-label.
        NoSharedImages: they have no images with the same labels in common.
    """
    row_a, row_b = (registry.find_evaluation(session, each) for each in (a, b))
    tallies = comparisons.tally(session, a, b)
    several = several_labels(row_a, row_b)
    by_label = count_pairs((row.label, row.right_a, row.right_b, row.images) for row in tallies)
    pairs = add_up(by_label.values())
    if several:  # `by_label` is by sets: an image is right if all of its labels are
        sets = comparisons.tally_sets(session, a, b)
        by_label = pairs_of_labels((row.labels, row.labels_a, row.labels_b, row.images) for row in sets)
    classes = compare_classes(by_label)
    relabelled = comparisons.count_relabelled(session, a, b)
    if not pairs.images:
        why = f"all {relabelled} shared images were relabelled" if relabelled else "they share none"
        raise NoSharedImages(f"{a} and {b} have no images to compare: {why}.")
    shared = pairs.images + relabelled
    only_a, only_b = (comparisons.count_items(session, evaluation) - shared for evaluation in (a, b))
    same = several and not (only_a or only_b or relabelled)
    return Comparison(
        evaluation_a=a,
        evaluation_b=b,
        model_a=row_a.model_id,
        model_b=row_b.model_id,
        images=pairs.images,
        only_a=only_a,
        only_b=only_b,
        relabelled=relabelled,
        accuracy_a=pairs.accuracy_a,
        accuracy_b=pairs.accuracy_b,
        mean_average_precision_a=row_a.metrics["multi_label"]["mean_average_precision"] if same else None,
        mean_average_precision_b=row_b.metrics["multi_label"]["mean_average_precision"] if same else None,
        difference=pairs.difference,
        difference_interval=difference_interval(pairs),
        right_only_a=pairs.only_a,
        right_only_b=pairs.only_b,
        p_value=pairs.p_value,
        classes_better=sum(row.right_b > row.right_a for row in classes),
        classes_worse=sum(row.right_b < row.right_a for row in classes),
        per_class=classes,
        changed=comparisons.count_changed(session, a, b),
        changes=[records.compared_image(*rows) for rows in comparisons.changed_items(session, a, b, LISTED_CHANGES)],
        summary=summarise(pairs, classes),
        links={"evaluation_a": f"/v1/evaluations/{a}", "evaluation_b": f"/v1/evaluations/{b}"},
    )


def several_labels(a: Evaluation, b: Evaluation) -> bool:
    """Return whether both models are multi-label.

    Raises:
        KindMismatch: only one is.
    """
    first, second = (bool(row.metrics.get("multi_label")) for row in (a, b))
    if first != second:
        raise KindMismatch(f"{a.id} and {b.id} belong to models of different kinds.")
    return first
