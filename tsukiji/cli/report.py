"""Data sets and evaluations as tables. Knows no command."""

from typing import Any

from rich.console import Console

from tsukiji import types
from tsukiji.cli.matrix import print_confusion
from tsukiji.cli.output import OUT, note, print_fields, print_json, print_table
from tsukiji.client import Dataset


def show_dataset(dataset: Dataset, as_json: bool) -> None:
    if as_json:
        print_json(dataset)
        return
    facts = {"name": dataset.name, "id": dataset.id, "kind": dataset.kind, "images": dataset.images}
    facts["excluded"] = dataset.excluded
    if dataset.kind == "multi_label":
        facts["none of these"] = dataset.none_of_these
    print_fields(facts | {"waiting for review": dataset.pending, "created": dataset.created_at})
    print_table(["label", "images"], [[row.label, row.images] for row in dataset.classes])


def labelled(dataset: types.Dataset) -> list[types.ClassCount]:
    return [row for row in dataset.classes if row.label is not None]


def print_metrics(metrics: types.Metrics, to: Console = OUT) -> None:
    several = metrics.multi_label
    facts: dict[str, Any] = {"exact sets" if several else "accuracy": fraction(metrics.accuracy, metrics.images)}
    facts |= {"images": metrics.images, "loss": f"{metrics.loss:.3g}"}
    if several:
        facts["mean average precision"] = several.mean_average_precision
        facts |= {"micro f1": several.micro_f1, "macro f1": several.macro_f1, "hamming loss": several.hamming_loss}
    if metrics.accuracy_interval:
        facts["95% interval"] = [fraction(end, metrics.images) for end in metrics.accuracy_interval]
    if metrics.calibration:
        facts["calibration error"] = metrics.calibration.ece_after
    print_table(facts, [facts.values()], to)
    to.print()
    print_unknown(metrics.unknown, to)
    print_classes(metrics, to)
    to.print()
    if several:
        print_counts(several, to)
    else:
        print_confusion(metrics, to)


def note_warnings(evaluation: types.Evaluation) -> None:
    """Say what a reader should know before the figures."""
    for warning in evaluation.warnings:
        note(f"warning: {warning.get('detail')}", style="yellow")


def print_unknown(rates: types.UnknownMetrics | None, to: Console) -> None:
    """Print how well "none of these" is told: what is turned away by mistake, and what passes by mistake."""
    if rates is None:
        return
    rows: list[list[Any]] = [["known classes, rejected by mistake", f"{rates.false_rejections:.0%}"]]
    if rates.false_acceptances is not None:
        rows.append(["unknown classes, accepted by mistake", f"{rates.false_acceptances:.0%}"])
    if rates.given:
        rows.append(["your pictures of other things, accepted by mistake", f"{rates.given.false_acceptances:.0%}"])
    print_table([f'"none of these" (known score below {rates.min_known:g})', "of all pictures"], rows, to)
    to.print()


def print_leakage(leakage: types.Leakage | None) -> None:
    """Print in one line whether pictures that belong together stand on both sides of the split."""
    if leakage is None:
        return
    found = f"near-duplicates: {leakage.near_duplicates} images in {leakage.near_duplicate_groups} groups"
    done = f"moved to their group's side: {leakage.moved}; groups on both sides of the split: {leakage.straddling}"
    print_fields({"leakage": f"{found}; {done}"})


def print_classes(metrics: types.Metrics, to: Console) -> None:
    rows = [
        [row.label, *(fraction(value, row.support) for value in (row.precision, row.recall, row.f1)), row.support]
        for row in metrics.per_class
    ]
    print_table(["label", "precision", "recall", "f1", "images"], rows, to)


def print_counts(several: types.MultiLabelMetrics, to: Console) -> None:
    """Print each label against its absence."""
    columns = ["label", "threshold", "average precision", "found", "false positives", "missed", "true negatives"]
    rows = [
        [
            row.label,
            row.threshold,
            row.average_precision,
            row.true_positives,
            row.false_positives,
            row.false_negatives,
            row.true_negatives,
        ]
        for row in several.per_label
    ]
    print_table(columns, rows, to)


def fraction(value: float | None, images: int) -> str | None:
    """Write a fraction of this many images with as many decimals as it has: two for fewer than a hundred images."""
    return None if value is None else f"{value:.{max(2, min(4, len(str(images - 1)) if images > 1 else 1))}f}"
