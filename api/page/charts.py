"""Charts as SVG, drawn by the server: they need no script, and follow the theme by the classes of `style.css`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from markupsafe import Markup, escape

WIDTH: Final = 640
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 10, 30
MARGIN: Final = 0.06
"""Of the height, above and below what is drawn."""
TICKS: Final = 4

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One curve. `band` has (x, low, high) of an interval around it."""

    name: str
    points: Sequence[Point]
    band: Sequence[tuple[float, float, float]] = ()
    dots: bool = True


@dataclass
class Axis:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float
    text: Callable[[float], str] = field(default=lambda value: f"{value:g}")
    counts: bool = False
    """Its values are whole numbers, and so are its ticks."""

    def __post_init__(self) -> None:
        if self.high <= self.low:
            self.low, self.high = self.low - 0.5, self.high + 0.5

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round values (1, 2 or 5 times a power of ten) within the axis, some `TICKS` of them."""
        rough = (self.high - self.low) / TICKS
        power = 10.0 ** int(f"{rough:e}".split("e")[1])
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        if self.counts:
            step = max(1.0, step)
        first = -(-self.low // step)
        return [step * (first + index) for index in range(TICKS + 2) if step * (first + index) <= self.high + 1e-9]


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_name: str,
    y_text: Callable[[float], str] = lambda value: f"{value:g}",
    y_range: tuple[float, float] | None = None,
    x_range: tuple[float, float] | None = None,
    y_most: float | None = None,
    x_counts: bool = False,
    width: int = WIDTH,
    height: int = 240,
) -> Markup:
    """Return an SVG of up to two curves over one axis.

    A screen reader says `title`; `x_name` is below the horizontal axis, and `y_text` writes values of the vertical
    one. The ends of the axes are those of the data by default, that of the vertical one at most `y_most`; with
    `x_counts` the horizontal one has whole numbers. `width` and `height` are in units of the text's size, so a narrow
    column takes a narrow chart.
    """
    xs = [x for line in lines for x, _ in line.points] or [0.0, 1.0]
    ys = [y for line in lines for _, y in line.points] + [y for line in lines for _, *ends in line.band for y in ends]
    low, high = y_range or (min(ys, default=0.0), max(ys, default=1.0))
    spare = 0.0 if y_range else MARGIN * ((high - low) or abs(high) or 1.0)
    across = Axis(*(x_range or (min(xs), max(xs))), LEFT, width - RIGHT, counts=x_counts)
    top = high + spare if y_most is None else min(high + spare, y_most)
    down = Axis(low - spare, top, height - BOTTOM, TOP, y_text)
    parts = [*axes(across, down, height, x_name)]
    for index, line in enumerate(lines):
        parts += curve(line, across, down, " second" if index else "")
    label = escape(title)
    start = f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
    return Markup(start + "".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def axes(across: Axis, down: Axis, height: int, x_name: str) -> list[str]:
    parts = []
    for value in down.ticks():
        y = down.at(value)
        parts.append(f'<path class="gridline" d="M{LEFT} {y:.1f}H{across.end:g}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(down.text(value))}</text>')
    parts += [
        f'<text x="{across.at(value):.1f}" y="{height - 14}" text-anchor="middle">{value:g}</text>'
        for value in across.ticks()
    ]
    parts.append(f'<path class="axis" d="M{LEFT} {height - BOTTOM}H{across.end:g}"/>')
    parts.append(f'<text x="{across.end:g}" y="{height - 1}" text-anchor="end">{escape(x_name)}</text>')
    return parts


def curve(line: Line, across: Axis, down: Axis, kind: str) -> list[str]:
    parts = []
    if line.band:
        there = " L".join(f"{across.at(x):.1f} {down.at(high):.1f}" for x, _, high in line.band)
        back = " L".join(f"{across.at(x):.1f} {down.at(low):.1f}" for x, low, _ in reversed(line.band))
        parts.append(f'<path class="band" d="M{there} L{back}Z"/>')
    if line.points:
        path = " L".join(f"{across.at(x):.1f} {down.at(y):.1f}" for x, y in line.points)
        parts.append(f'<path class="line{kind}" d="M{path}"/>')
    if line.dots:
        parts += [
            f'<circle class="dot{kind}" r="3.5" cx="{across.at(x):.1f}" cy="{down.at(y):.1f}">'
            f"<title>{escape(line.name)}: {escape(down.text(y))} at {x:g}</title></circle>"
            for x, y in line.points
        ]
    return parts
