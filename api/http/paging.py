"""Lists by pages: `?limit&cursor` in, `Page` and `Link: rel="next"` out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar
from urllib.parse import quote, urlencode

from fastapi import Depends, Query, Request, Response

from db.paging import Rows, Window
from tsukiji.types import Answer, Page

MAX_LIMIT = 200
CURSOR = "`next_cursor` of the previous page, unchanged; valid only with the same path and parameters."
BASE64 = "^[A-Za-z0-9_=-]+$"

Row = TypeVar("Row")
Item = TypeVar("Item", bound=Answer)


@dataclass(frozen=True)
class Paging:
    """The requested page, and its response."""

    request: Request
    response: Response
    limit: int
    cursor: str | None

    def window(self, *filters: str | None) -> Window:
        """Return the window; its cursors are valid for this address and these filters only."""
        return Window(self.limit, self.cursor, (self.request.scope["path"], *filters))

    def answer(self, rows: Rows[Row], convert: Callable[[Row], Item]) -> Page[Item]:
        return self.page([convert(row) for row in rows.data], rows.next_cursor)

    def page(self, data: Sequence[Item], next_cursor: str | None) -> Page[Item]:
        if next_cursor is not None:
            query = [(name, value) for name, value in self.request.query_params.multi_items() if name != "cursor"]
            place = f"{quote(self.request.scope['path'])}?{urlencode([*query, ('cursor', next_cursor)])}"
            self.response.headers["link"] = f'<{place}>; rel="next"'
        return Page(data=list(data), next_cursor=next_cursor, has_more=next_cursor is not None)


def paging(
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, description="At most 200; larger values mean 200.")] = 50,
    cursor: Annotated[
        str | None, Query(description=CURSOR, pattern=BASE64, json_schema_extra={"pattern": BASE64})
    ] = None,
) -> Paging:
    return Paging(request, response, min(limit, MAX_LIMIT), cursor)


PagingDep = Annotated[Paging, Depends(paging)]
OfDataset = Annotated[str | None, Query(description="Only those of this data set, by id or name.")]
