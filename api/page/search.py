"""Search: data sets, models and jobs by a part of their names."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse

from api.http.access import needs
from api.page.job_words import KINDS, STATES, screen_of
from api.page.screen import ScreenDep
from api.serialize.search_hits import MOST, find

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/search")
@needs("read")
def show_found(screen: ScreenDep, q: Annotated[str, Query(max_length=200)] = "") -> HTMLResponse:
    with screen.services.database.reading() as session:
        return screen.show(
            session,
            "search.html",
            current="search",
            q=q.strip(),
            found=find(session, q) if q.strip() else None,
            most=MOST,
            kinds=KINDS,
            states=STATES,
            screen_of=screen_of,
        )
