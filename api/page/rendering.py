"""Templates to HTML. Knows no rows."""

from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.responses import HTMLResponse
from starlette.templating import Jinja2Templates

from tsukiji import __version__

templates = Jinja2Templates(Path(__file__).parent / "templates")


def percent(share: float) -> str:
    """Return a share of 1 for people; what is not nothing is not called 0."""
    return "< 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


templates.env.filters["percent"] = percent
templates.env.globals["version"] = __version__


def render(request: Request, name: str, status: int = 200, **context: Any) -> HTMLResponse:
    headers = {"cache-control": "no-store"}
    return templates.TemplateResponse(request, name, context, status_code=status, headers=headers)
