"""Every component in every state, in both themes: what a designer reviews. Needs no sign-in, since it shows no data."""

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from api.page.charts import Line, line_chart
from api.page.rendering import percent, render

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/style")
def show_style(request: Request) -> HTMLResponse:
    accuracy = [(20, 0.82), (60, 0.91), (120, 0.95), (200, 0.968)]
    spread = [(x, y - 0.8 / x**0.7, min(1.0, y + 0.5 / x**0.7)) for x, y in accuracy]
    curve = line_chart(
        [Line("accuracy", accuracy, spread)], title="Accuracy over labels", x_name="labels", y_text=percent
    )
    return render(request, "style.html", curve=curve)
