"""The audit log: who did what, when, from where; filtered, and downloaded as a table."""

from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from api.http.access import needs
from api.page.screen import ScreenDep
from api.serialize.audit import ChoiceDep, entry
from db import audit
from db.paging import Window

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

LISTED: Final = 100
FILTERS: Final = ("key", "act", "subject")


@router.get("/audit")
@needs("admin")
def show_audit(request: Request, screen: ScreenDep, choice: ChoiceDep, cursor: str | None = None) -> HTMLResponse:
    asked = {name: request.query_params.get(name, "") for name in FILTERS}
    given = {name: value for name, value in asked.items() if value}
    choice = audit.Choice(**given, since=choice.since, until=choice.until)  # of a form, what is empty is not asked
    with screen.services.database.reading() as session:
        page = audit.page(session, choice, Window(LISTED, cursor, (repr(choice),)))
        return screen.show(
            session,
            "audit.html",
            current="audit",
            listed=[entry(row) for row in page.data],
            asked=asked,
            here=f"/audit?{urlencode(given)}",
            table=f"/v1/audit/export?{urlencode(given | {'format': 'csv'})}",
            next=page.next_cursor,
            cursor=cursor,
        )
