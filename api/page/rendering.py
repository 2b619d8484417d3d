"""Renders templates, numbers and times. Knows no rows."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.responses import HTMLResponse
from starlette.templating import Jinja2Templates

from tsukiji import __version__

templates = Jinja2Templates(Path(__file__).parent / "templates")


def percent(share: float) -> str:
    """Return a percentage; a share above 0 is never shown as 0."""
    return "< 0.1%" if 0 < share < 0.0005 else f"{100 * share:.1f}%"


def count(number: int) -> str:
    return f"{number:,}"


def plural(number: int, noun: str, several: str | None = None) -> str:
    """Return `1 picture`, `1,240 pictures`."""
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"


def ago(moment: datetime) -> str:
    """Return how long ago this was, to the largest unit that fits."""
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = max(0, (datetime.now(UTC) - moment).total_seconds())
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return plural(int(seconds // size), unit) + " ago"
    return "just now"


def duration(seconds: float) -> str:
    """Return `8 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def size(number: int) -> str:
    """Return bytes as `812 KB`, `3.4 MB`."""
    value, unit = float(number), "B"
    for unit in ("B", "KB", "MB", "GB"):  # noqa: B007 - the last unit tried is the answer
        if value < 1000:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"


templates.env.filters |= {
    "percent": percent,
    "count": count,
    "plural": plural,
    "ago": ago,
    "duration": duration,
    "size": size,
}
templates.env.globals["version"] = __version__
templates.env.trim_blocks = templates.env.lstrip_blocks = True


def render(request: Request, name: str, status: int = 200, **context: Any) -> HTMLResponse:
    headers = {"cache-control": "no-store"}
    return templates.TemplateResponse(request, name, context, status_code=status, headers=headers)
