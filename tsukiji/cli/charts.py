"""Line charts as SVG without scripts, in the colours of the page around them. Knows no figures."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

Points = Sequence[tuple[float, float]]

WIDTH: Final = 360
HEIGHT: Final = 240
LEFT: Final = 60
BOTTOM: Final = 40
TOP: Final = 28
RIGHT: Final = 12
TICKS: Final = 4
DOTTED: Final = 15
"""A line of so few points shows each of them."""


def chart(title: str, x_name: str, y_name: str, lines: Mapping[str, Points]) -> str:
    """Return a chart of lines by their names; they differ in their dashes too, not only in colour."""
    points = [point for line in lines.values() for point in line]
    x_low, x_high = span([x for x, _ in points])
    y_low, y_high = span([y for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        up = HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - BOTTOM - TOP)
        return round(across, 1), round(up, 1)

    parts = []
    for step in range(TICKS + 1):
        y = y_low + (y_high - y_low) * step / TICKS
        _, up = place(x_low, y)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up}" y2="{up}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{up + 4}" text-anchor="end">{y:.3g}</text>')
    for x in (x_low, x_high):
        across, up = place(x, y_low)
        parts.append(f'<text x="{across}" y="{up + 16}" text-anchor="middle">{x:.3g}</text>')
    for number, (name, line) in enumerate(lines.items()):
        path = " ".join(f"{across},{up}" for across, up in (place(*point) for point in line))
        parts.append(f'<polyline class="line-{number}" points="{path}"/>')
        if len(line) <= DOTTED:
            dots = (f'<circle class="dot-{number}" cx="{x}" cy="{y}" r="3"/>' for x, y in (place(*one) for one in line))
            parts.extend(dots)
        if name:
            left = LEFT + 8 + number * 110
            parts.append(f'<line class="line-{number}" x1="{left}" x2="{left + 22}" y1="{TOP - 8}" y2="{TOP - 8}"/>')
            parts.append(f'<text x="{left + 28}" y="{TOP - 4}">{escape(name)}</text>')
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_name)}</text>')
    described = f"{title}: {y_name} by {x_name}"
    return (
        f'<figure class="chart"><figcaption>{escape(title)} <small>({escape(y_name)})</small></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(described)}">'
        f"{''.join(parts)}</svg></figure>"
    )


def span(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and highest value, apart even if they are equal."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
