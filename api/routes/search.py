"""Search: data sets, models and jobs by a part of their names."""

from typing import Annotated

from fastapi import Query

from api.http.dependencies import Reading
from api.http.routing import Router
from api.serialize.search_hits import dataset_hit, job_hit, model_hit
from db import registry, search
from tsukiji.types import SearchResult

router = Router(prefix="/search", tags=["service"])

MOST = 20


@router.get("")
def find_by_name(
    session: Reading,
    q: Annotated[str, Query(min_length=1, max_length=200, description="A part of a name, an alias, or an id.")],
    limit: Annotated[int, Query(ge=1, description="Of each kind of thing; at most 20, larger values mean 20.")] = 5,
) -> SearchResult:
    """Find data sets, models (also by alias) and jobs (also by data set, model and metadata)."""
    words, most = q.strip() or q, min(limit, MOST)
    models = search.find_models(session, words, most)
    aliases = registry.aliases_of(session, [row.id for row in models])
    return SearchResult(
        datasets=[dataset_hit(row) for row in search.find_datasets(session, words, most)],
        models=[model_hit(row, aliases[row.id]) for row in models],
        jobs=[job_hit(row) for row in search.find_jobs(session, words, most)],
    )
