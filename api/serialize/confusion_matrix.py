"""A confusion matrix as a picture. Knows no rows and no HTTP."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

NUMBERED_CLASSES = 30
NAMED_CLASSES = 60
LABEL_CHARACTERS = 24


def draw_confusion(label_names: Sequence[str], confusion: Sequence[Sequence[int]], *, normalise: bool = False) -> bytes:
    """Return a PNG: rows are true labels; shades are fractions of the row, numbers are images, or those fractions.

    The row of a label without images is empty, and marked.
    """
    matrix = np.asarray(confusion, dtype=float).reshape(len(label_names), len(label_names))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 3 + 0.38 * min(max(len(label_names), 4), NAMED_CLASSES)
    figure = Figure(figsize=(side, side), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="true")
    name_ticks(axes, label_names)
    if len(label_names) <= NUMBERED_CLASSES:
        write_numbers(axes, shares if normalise else matrix, shares, ".2f" if normalise else ".0f")
        for row in np.flatnonzero(matrix.sum(axis=1) == 0).tolist():
            axes.text((len(label_names) - 1) / 2, row, "no images", ha="center", va="center", color="gray", fontsize=8)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def name_ticks(axes: Axes, label_names: Sequence[str]) -> None:
    if len(label_names) > NAMED_CLASSES:
        return
    # A dollar sign would start a formula.
    names = [name[:LABEL_CHARACTERS].replace("$", r"\$") for name in label_names]
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)


def write_numbers(axes: Axes, numbers: np.ndarray, shares: np.ndarray, form: str) -> None:
    for row, column in np.argwhere(numbers > 0):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{numbers[row, column]:{form}}", ha="center", va="center", color=colour, fontsize=8)
