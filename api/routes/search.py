"""Search: data sets, models and jobs by a part of their names."""

from typing import Annotated

from fastapi import Query

from api.http.access import needs
from api.http.dependencies import Reading
from api.http.routing import Router
from api.serialize.search_hits import find
from tsukiji.types import SearchResult

router = Router(prefix="/search", tags=["service"])


@router.get("")
@needs("read")
def find_by_name(
    session: Reading,
    q: Annotated[str, Query(min_length=1, max_length=200, description="A part of a name, an alias, or an id.")],
    limit: Annotated[int, Query(ge=1, description="Of each kind of thing; at most 20, larger values mean 20.")] = 5,
) -> SearchResult:
    """Find data sets, models (also by alias) and jobs (also by data set, model and metadata)."""
    return find(session, q, limit)
