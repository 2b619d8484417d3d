"""Figures of an evaluation for display: sorted matrix, charts, words. Knows no rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from api.page.charts import Line, line_chart
from api.page.rendering import percent
from tsukiji.guarantee.selective import overall
from tsukiji.types import Guarantee, Metrics
from tsukiji.types.evaluations import CalibrationMetrics

READABLE: Final = 20
"""Most labels of a full-size matrix; beyond, the most confused are shown first."""
PAIRS: Final = 12
SHADES: Final = 4
HONEST: Final = 0.03
"""A calibration error below this is not mentioned."""
START: Final = 0.5
"""The slider's initial threshold."""


@dataclass(frozen=True)
class Cell:
    """`shade` is a class of the style sheet; empty for zero."""

    predicted: str
    images: int
    shade: str


@dataclass(frozen=True)
class Row:
    """One true label; `others` are its images predicted as labels that are not shown."""

    label: str
    cells: list[Cell]
    others: int
    recall: float | None


@dataclass(frozen=True)
class Matrix:
    labels: list[str]
    rows: list[Row]
    precisions: list[float | None]
    left_out: int
    """Labels that are not shown."""


def draw_matrix(metrics: Metrics, *, everything: bool) -> Matrix:
    """Return the matrix: few labels in order; of many, the most confused first, or only these."""
    count = len(metrics.label_names)
    order = list(range(count)) if count <= READABLE else by_confusion(metrics.confusion)
    shown = order if everything else order[:READABLE]
    by_label = {row.label: row for row in metrics.per_class}
    names = [metrics.label_names[index] for index in shown]
    rows = []
    for index, name in zip(shown, names, strict=True):
        line = metrics.confusion[index]
        total = sum(line)
        cells = [
            Cell(metrics.label_names[at], line[at], shade(line[at], total, right=at == index) if line[at] else "")
            for at in shown
        ]
        rows.append(Row(name, cells, total - sum(cell.images for cell in cells), recall_of(by_label, name)))
    return Matrix(
        names, rows, [by_label[name].precision if name in by_label else None for name in names], count - len(shown)
    )


def recall_of(by_label: dict[str, Any], name: str) -> float | None:
    return by_label[name].recall if name in by_label else None


def shade(images: int, total: int, *, right: bool) -> str:
    """Return the class of a cell by its share of the row; mistakes darken sooner, since they are few."""
    share = images / total
    step = 1 + int(SHADES * (share if right else min(0.999, 2.5 * share)))
    return f"{'right' if right else 'wrong'}-{min(SHADES, step)}"


def by_confusion(confusion: Sequence[Sequence[int]]) -> list[int]:
    """Return the indices of the labels, those in most mistakes first."""
    mistakes = [
        sum(confusion[index]) + sum(row[index] for row in confusion) - 2 * confusion[index][index]
        for index in range(len(confusion))
    ]
    return sorted(range(len(confusion)), key=lambda index: (-mistakes[index], index))


def confused_pairs(metrics: Metrics) -> list[tuple[str, str, int, float]]:
    """Return (true, predicted, images, share of the true label's images) of the most confused pairs."""
    names = metrics.label_names
    found = [
        (names[true], names[predicted], images, images / sum(row))
        for true, row in enumerate(metrics.confusion)
        for predicted, images in enumerate(row)
        if images and true != predicted
    ]
    return sorted(found, key=lambda pair: (-pair[2], pair[0], pair[1]))[:PAIRS]


def label_rows(metrics: Metrics, sort: str) -> list[dict[str, Any]]:
    """Return the table by label, sorted by a column; `-` before its name: largest first. Unknown figures are last."""
    column, reverse = sort.removeprefix("-"), sort.startswith("-")
    precise = {row.label: row.average_precision for row in metrics.curves}
    counts = {row.label: row.model_dump() for row in (metrics.multi_label.per_label if metrics.multi_label else [])}
    rows = [
        row.model_dump() | {"average_precision": precise.get(row.label)} | counts.get(row.label, {})
        for row in metrics.per_class
    ]
    known = [row for row in rows if row.get(column) is not None]
    unknown = [row for row in rows if row.get(column) is None]
    return sorted(known, key=lambda row: row[column], reverse=reverse) + unknown


def describe_calibration(found: CalibrationMetrics) -> tuple[str, str]:
    """Return a word for the quality of the calibration, and what it means."""
    points = f"off by {100 * found.ece_after:.1f} points on average"
    if found.ece_after < HONEST:
        return "honest", points
    images = sum(bin_.images for bin_ in found.bins)
    surplus = sum(bin_.images * (bin_.confidence - bin_.accuracy) for bin_ in found.bins) / images if images else 0.0
    return ("too sure" if surplus > 0 else "too modest"), points


def draw_reliability(found: CalibrationMetrics) -> Markup:
    points = [(bin_.confidence, bin_.accuracy) for bin_ in found.bins]
    return line_chart(
        [Line("measured", points), Line("ideal", [(0.0, 0.0), (1.0, 1.0)], dots=False)],
        title="How often it is right, by how sure it is",
        x_name="how sure",
        y_text=percent,
        y_range=(0.0, 1.0),
        x_range=(0.0, 1.0),
    )


@dataclass(frozen=True)
class Sweep:
    """What a threshold does. `points` are (threshold, a share for each of `names`)."""

    names: tuple[str, ...]
    points: list[tuple[float | None, ...]]
    chart: Markup

    @property
    def start(self) -> int:
        """The index of the slider's current point."""
        return min(range(len(self.points)), key=lambda index: abs((self.points[index][0] or 0.0) - START))


TARGETS: Final = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1)
"""Where the slider of wrong labels stops, and at which it begins."""
FIRST_TARGET: Final = TARGETS.index(0.02)


@dataclass(frozen=True)
class Promises:
    """What can be decided with at most so much of it wrong: the table's rows, and the slider's texts."""

    rows: list[tuple[Guarantee, str, str]]
    """With what is decided, and the threshold, as texts."""
    texts: list[tuple[str, str, str]]
    rests_on: str
    """The pictures behind them, counted, as text."""
    start: int = FIRST_TARGET


def describe_promises(metrics: Metrics) -> Promises | None:
    found = metrics.selective
    if found is None:
        return None
    stops = [overall(found, target) for target in TARGETS]
    texts = [
        (
            f"{100 * row.target_error:g}%",
            "none yet" if row.threshold is None else decided_text(row),
            threshold_text(row),
        )
        for row in stops
    ]
    held_out = f"{found.images - found.cross_fitted:,} held-out ones"
    others = f", and {found.cross_fitted:,} others by models that have not seen those" if found.cross_fitted else ""
    rows = [(row, decided_text(row), threshold_text(row)) for row in metrics.guarantees]
    return Promises(rows, texts, held_out + others)


def decided_text(row: Guarantee) -> str:
    """Return how much can be decided, or how many pictures are missing."""
    if row.threshold is not None:
        return percent(row.coverage)
    if row.more_images is None:
        return "nothing: the surest are wrong too often"
    return f"nothing yet: label about {float(f'{row.more_images:.2g}'):,.0f} more"


def threshold_text(row: Guarantee) -> str:
    return "–" if row.threshold is None else f"{row.threshold:.3f}"


def draw_sweep(metrics: Metrics) -> Sweep | None:
    points: list[tuple[float | None, ...]]
    if metrics.multi_label:
        names: tuple[str, ...] = ("precision", "recall", "F1")
        points = [(point.threshold, point.precision, point.recall, point.f1) for point in metrics.multi_label.sweep]
    else:
        names = ("decided", "of those right")
        points = [(point.threshold, point.coverage, point.accuracy) for point in metrics.sweep]
    if not points:
        return None
    curves = [
        Line(name, [(point[0] or 0.0, share) for point in points if (share := point[at]) is not None], dots=False)
        for at, name in enumerate(names[:2], start=1)
    ]
    title = f"{names[0]} and {names[1]}, by threshold"
    chart = line_chart(
        curves, title=title, x_name="threshold", y_text=percent, x_range=(0.0, 1.0), y_most=1.0, height=200
    )
    return Sweep(names, points, chart)
