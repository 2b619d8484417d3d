"""Rows as what a search found."""

from typing import Any

from api.serialize.records import job_place
from db import models as rows
from tsukiji.types import SearchHit


def dataset_hit(row: rows.Dataset) -> SearchHit:
    return hit(row, object="dataset", name=row.name, place=f"/v1/datasets/{row.id}")


def model_hit(row: rows.Model, aliases: list[str]) -> SearchHit:
    return hit(row, object="model", name=row.name, aliases=aliases, place=f"/v1/models/{row.id}")


def job_hit(row: rows.Job) -> SearchHit:
    """Return a job by what it was called, or else by what it is about."""
    names = (row.request.get(name) for name in ("name", "dataset_name", "model_name"))
    return hit(row, object=row.kind, name=next(filter(None, names), None), status=row.status, place=job_place(row))


def hit(row: rows.Dataset | rows.Model | rows.Job, place: str, **known: Any) -> SearchHit:
    return SearchHit(id=row.id, created_at=row.created_at, links={"self": place}, **known)
