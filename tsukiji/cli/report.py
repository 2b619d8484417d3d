"""An evaluation as tables: accuracy, each class, the confusion matrix. Knows no command."""

from typing import Final

from rich.console import Console

from tsukiji import types
from tsukiji.cli.output import OUT, print_table

MATRIX_LABELS: Final = 15
"""A wider matrix fits no terminal; then the commonest confusions are listed instead."""
CONFUSIONS: Final = 15


def print_metrics(metrics: types.Metrics, to: Console = OUT) -> None:
    print_table(["accuracy", "images", "loss"], [[metrics.accuracy, metrics.images, metrics.loss]], to)
    to.print()
    print_classes(metrics, to)
    to.print()
    print_confusion(metrics, to)


def print_classes(metrics: types.Metrics, to: Console) -> None:
    rows = [[row.label, row.precision, row.recall, row.f1, row.support] for row in metrics.per_class]
    print_table(["label", "precision", "recall", "f1", "images"], rows, to)


def print_confusion(metrics: types.Metrics, to: Console) -> None:
    """Print the matrix: a row for each true label, a column for what its images were taken for."""
    names = metrics.label_names
    if len(names) <= MATRIX_LABELS:
        rows = [[name, *counts] for name, counts in zip(names, metrics.confusion, strict=True)]
        print_table(["true \\ predicted", *names], rows, to)
        return
    print_table(["true", "predicted", "images"], commonest_confusions(metrics)[:CONFUSIONS], to)


def commonest_confusions(metrics: types.Metrics) -> list[tuple[str, str, int]]:
    """List (true label, predicted label, images) where they differ, most images first."""
    names = metrics.label_names
    cells = [
        (names[i], names[j], count)
        for i, row in enumerate(metrics.confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(cells, key=lambda cell: -cell[2])
