"""The confusion matrix on a terminal: cells shaded by their share of the row, with their numbers. Knows no command."""

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tsukiji import types
from tsukiji.cli.output import print_table, text

LABELS: Final = 15
"""A larger matrix is unreadable; its most confused pairs are listed instead."""
PAIRS: Final = 15
CORNER: Final = "true \\ predicted"
GAP: Final = 2
RIGHT: Final = (33, 102, 172)
WRONG: Final = (178, 24, 43)
"""The ends of ColorBrewer's RdBu, which those who see no red or no green also tell apart."""


def print_confusion(metrics: types.Metrics, to: Console) -> None:
    """Print a row for each true label, a column for what its images were taken for; pairs where that does not fit."""
    names = [text(name) for name in metrics.label_names]
    if len(names) > LABELS or (to.is_terminal and width(names, metrics.confusion) > to.width):
        print_table(["true", "predicted", "images"], most_confused(metrics), to, fits=PAIRS, rest=None)
        return
    rows = [[name, *counts] for name, counts in zip(names, metrics.confusion, strict=True)]
    if not to.is_terminal:
        print_table([CORNER, *names], rows, to)
        return
    table = Table(CORNER, box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for index, (name, counts) in enumerate(zip(names, metrics.confusion, strict=True)):
        table.add_row(name, *(cell(count, sum(counts), index == column) for column, count in enumerate(counts)))
    to.print(table)


def width(names: Sequence[str], confusion: Sequence[Sequence[int]]) -> int:
    """Return how many characters wide the matrix is."""
    columns = [max(cell_len(name), *(len(f" {row[index]} ") for row in confusion)) for index, name in enumerate(names)]
    return max(map(cell_len, [CORNER, *names])) + sum(columns) + GAP * len(columns)


def cell(count: int, of: int, is_right: bool) -> Text:
    """Return a number on a ground that is darker the larger its share of the row; none is left as it is."""
    if not count:
        return Text("0", style="dim")
    share = count / of
    ground = [round(255 + (end - 255) * share) for end in (RIGHT if is_right else WRONG)]
    ink = "white" if luminance(ground) < 0.4 else "black"
    return Text(f" {count} ", style=f"{ink} on rgb({','.join(map(str, ground))})")


def luminance(colour: Sequence[int]) -> float:
    red, green, blue = (part / 255 for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def most_confused(metrics: types.Metrics) -> list[tuple[str, str, int]]:
    """List (true label, predicted label, images) where they differ, most images first."""
    names = metrics.label_names
    cells: list[tuple[str, str, int]] = [
        (names[i], names[j], count)
        for i, row in enumerate(metrics.confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(cells, key=lambda pair: -pair[2])
