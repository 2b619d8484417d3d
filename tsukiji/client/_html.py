"""Pieces of HTML for notebooks: inline styles, in light and dark, and nothing from elsewhere."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from tsukiji import types

BLUE: Final = "#3b82f6"
GREEN: Final = "#22a06b"
RED: Final = "#e5484d"
GREY: Final = "rgba(128,128,128,.25)"
"""On a light and on a dark ground; colours of bars are of a middle lightness for the same reason."""
MOST_BARS: Final = 20
MOST_ROWS: Final = 30
MOST_LABELS: Final = 25
"""Of a matrix."""
PICTURE_BYTES: Final = 3 * 2**20
PICTURE_SIDE: Final = 240
SHOWN_BY_BROWSERS: Final = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}
CELL: Final = "padding:2px 8px;text-align:right;border:0"


def card(title: str, *parts: str, note: str = "") -> str:
    """Return a titled block; `parts` are HTML."""
    line = f'<div style="opacity:.7;margin-bottom:6px">{escape(note)}</div>' if note else ""
    head = f'<div style="font-weight:600">{escape(title)}</div>'
    return f'<div style="font-size:13px;line-height:1.5;max-width:60em">{head}{line}{"".join(parts)}</div>'


def line(text: str) -> str:
    return f'<div style="opacity:.7">{escape(text)}</div>'


def fraction_bar(fraction: float, colour: str = BLUE, width: str = "16em") -> str:
    wide = f"{100 * min(max(fraction, 0.0), 1.0):.1f}%"
    return (
        f'<span style="display:inline-block;vertical-align:middle;width:{width};height:.8em;background:{GREY};'
        f'border-radius:3px"><span style="display:block;width:{wide};height:100%;background:{colour};'
        'border-radius:3px"></span></span>'
    )


def bars(rows: Sequence[tuple[str, float, str]], colour: str = BLUE) -> str:
    """Return a bar for each of (name, fraction of the longest, what to print), the first 20."""
    lines = [
        f'<tr style="background:none"><td style="{CELL};text-align:left">{escape(name)}</td>'
        f'<td style="{CELL}">{fraction_bar(fraction, colour)}</td><td style="{CELL}">{escape(text)}</td></tr>'
        for name, fraction, text in rows[:MOST_BARS]
    ]
    return f"<table>{''.join(lines)}</table>{_more(len(rows), MOST_BARS)}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the first 30 rows; the first column is text, the others are figures."""

    def cells(tag: str, texts: Sequence[str]) -> str:
        sides = ["left", *["right"] * (len(texts) - 1)]
        return "".join(
            f'<{tag} style="{CELL};text-align:{side}">{escape(text)}</{tag}>'
            for text, side in zip(texts, sides, strict=True)
        )

    body = "".join(f'<tr style="background:none">{cells("td", row)}</tr>' for row in rows[:MOST_ROWS])
    return f"<table><tr>{cells('th', heads)}</tr>{body}</table>{_more(len(rows), MOST_ROWS)}"


def matrix(names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Return a shaded confusion matrix; of many labels the 25 with the most errors."""
    wrong = [sum(row) + sum(other[index] for other in counts) - 2 * row[index] for index, row in enumerate(counts)]
    kept = sorted(sorted(range(len(names)), key=lambda index: -wrong[index])[:MOST_LABELS])
    heads = "".join(f'<th style="{CELL}">{escape(_cut(names[index]))}</th>' for index in kept)
    rows = []
    for true in kept:
        whole = sum(counts[true]) or 1
        cells = "".join(_shaded(counts[true][index], whole, right=index == true) for index in kept)
        rows.append(f'<tr style="background:none"><th style="{CELL}">{escape(_cut(names[true]))}</th>{cells}</tr>')
    note = f"the {len(kept)} of {len(names)} labels with the most errors" if len(kept) < len(names) else ""
    tip = f'<th style="{CELL};opacity:.7;font-weight:400">true ↓ predicted →</th>'
    return f"<table><tr>{tip}{heads}</tr>{''.join(rows)}</table>{line(note) if note else ''}"


def pictures(contents: Iterable[bytes]) -> str:
    """Return small pictures in a row, those of a type that browsers show."""
    shown = [
        f'<img src="{address}" style="height:64px;border-radius:3px;margin:2px" alt="">'
        for content in contents
        if (address := data_address(content))
    ]
    return f"<div>{''.join(shown)}</div>" if shown else ""


def data_address(content: bytes | None) -> str | None:
    """Return a picture as a `data:` address; None if it is too large, or of a type that browsers do not show."""
    if not content or len(content) > PICTURE_BYTES:
        return None
    kinds = [kind for start, kind in SHOWN_BY_BROWSERS.items() if content.startswith(start)]
    return f"data:{kinds[0]};base64,{base64.b64encode(content).decode()}" if kinds else None


def annotated(prediction: types.Prediction, content: bytes | None) -> str:
    """Return the picture with heatmap and boxes on it; nothing if there is neither a picture nor one of these."""
    width, height = prediction.image.width, prediction.image.height
    address = data_address(content)
    marks = _heat(prediction.heatmap) + "".join(
        _boxed(tag, max(width or 0, height or 0)) for tag in prediction.tags or []
    )
    if not width or not height or not (address or marks):
        return ""
    scale = min(1.0, PICTURE_SIDE / max(width, height))
    drawn = f'<image href="{address}" width="{width}" height="{height}"/>' if address else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width * scale:.0f}" '
        f'height="{height * scale:.0f}" style="background:{GREY}">{drawn}{marks}</svg>'
    )


def _heat(heatmap: types.Heatmap | None) -> str:
    if heatmap is None or not heatmap.values or heatmap.box is None:
        return ""
    left, upper, right, lower = heatmap.box
    high, wide = (lower - upper) / len(heatmap.values), (right - left) / len(heatmap.values[0])
    return "".join(
        f'<rect x="{left + column * wide:.1f}" y="{upper + row * high:.1f}" width="{wide:.1f}" height="{high:.1f}" '
        f'fill="{RED}" fill-opacity="{0.7 * value:.2f}"/>'
        for row, values in enumerate(heatmap.values)
        for column, value in enumerate(values)
        if value >= 0.05
    )


def _boxed(tag: types.Tag, side: int) -> str:
    left, upper, right, lower = tag.box
    stroke, size = max(side / 160, 0.5), side / 16
    return (
        f'<rect x="{left}" y="{upper}" width="{right - left}" height="{lower - upper}" fill="none" stroke="{GREEN}" '
        f'stroke-width="{stroke:.1f}"/><text x="{left + stroke:.1f}" y="{upper + size:.1f}" font-size="{size:.1f}" '
        f'fill="{GREEN}">{escape(tag.label)} {tag.score:.0%}</text>'
    )


def _shaded(count: int, whole: int, *, right: bool) -> str:
    colour = "34,160,107" if right else "229,72,77"
    ground = f"background:rgba({colour},{0.12 + 0.6 * count / whole:.2f})" if count else "opacity:.4"
    return f'<td style="{CELL};text-align:center;{ground}">{count}</td>'


def _cut(text: str) -> str:
    return text if len(text) <= 16 else f"{text[:15]}…"


def _more(there: int, shown: int) -> str:
    return line(f"and {there - shown} more") if there > shown else ""


def percent(value: Any) -> str:
    return "–" if value is None else f"{value:.1%}"
