"""Search results."""

from typing import Any, Final

from api.serialize.job_records import job_place
from db import models as rows
from db import registry, search
from db.session import Session
from tsukiji.types import SearchHit, SearchResult

MOST: Final = 20


def find(session: Session, q: str, limit: int = MOST) -> SearchResult:
    """Find data sets, models (also by alias) and jobs by a part of a name or an id; at most `MOST` of each."""
    words, most = q.strip() or q, min(limit, MOST)
    models = search.find_models(session, words, most)
    aliases = registry.aliases_of(session, [row.id for row in models])
    return SearchResult(
        datasets=[dataset_hit(row) for row in search.find_datasets(session, words, most)],
        models=[model_hit(row, aliases[row.id]) for row in models],
        jobs=[job_hit(row) for row in search.find_jobs(session, words, most)],
    )


def dataset_hit(row: rows.Dataset) -> SearchHit:
    return hit(row, object="dataset", name=row.name, place=f"/v1/datasets/{row.id}")


def model_hit(row: rows.Model, aliases: list[str]) -> SearchHit:
    return hit(row, object="model", name=row.name, aliases=aliases, place=f"/v1/models/{row.id}")


def job_hit(row: rows.Job) -> SearchHit:
    """Return a job by its name, or else by its subject."""
    names = (row.request.get(name) for name in ("name", "dataset_name", "model_name"))
    return hit(row, object=row.kind, name=next(filter(None, names), None), status=row.status, place=job_place(row))


def hit(row: rows.Dataset | rows.Model | rows.Job, place: str, **known: Any) -> SearchHit:
    return SearchHit(id=row.id, created_at=row.created_at, links={"self": place}, **known)
