"""The audit log in responses: entries, and all of them as JSON lines or CSV."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Depends, Query

from api.serialize.csv_tables import csv_lines
from api.serialize.records import columns
from api.services import Services
from db import audit
from db import models as rows
from db.audit import Choice
from db.paging import Window
from tsukiji import types
from tsukiji.types.base import Moment

PAGE_ROWS: Final = 1000
JSON_LINES: Final = "application/jsonl"
CSV: Final = "text/csv"
COLUMNS: Final = tuple(name for name in types.AuditEntry.model_fields if name != "object")


def read_choice(
    key: Annotated[str | None, Query(max_length=200, description="Id or name of a key.")] = None,
    act: Annotated[str | None, Query(max_length=60, description="An operation, such as `create_training`.")] = None,
    subject: Annotated[str | None, Query(max_length=200, description="Id or name of what was acted on.")] = None,
    since: Annotated[Moment | None, Query(description="From then on; UTC without an offset.")] = None,
    until: Annotated[Moment | None, Query(description="Before then.")] = None,
) -> Choice:
    return Choice(key, act, subject, in_utc(since), in_utc(until))


def in_utc(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


ChoiceDep = Annotated[Choice, Depends(read_choice)]


def entry(row: rows.AuditEntry) -> types.AuditEntry:
    return types.AuditEntry.model_validate(columns(row) | {"project": row.project_id})


def stream(services: Services, choice: Choice, wanted: str) -> Iterator[bytes]:
    if wanted == "csv":
        yield "".join(csv_lines([COLUMNS])).encode()
    for found in pages(services, choice):
        if wanted == "csv":
            dumped = (one.model_dump(mode="json") for one in found)
            yield "".join(csv_lines([row[name] for name in COLUMNS] for row in dumped)).encode()
        else:
            yield "".join(f"{one.model_dump_json()}\n" for one in found).encode()


def pages(services: Services, choice: Choice) -> Iterator[list[types.AuditEntry]]:
    cursor: str | None = None
    while True:
        with services.database.reading() as session:
            found = audit.page(session, choice, Window(PAGE_ROWS, cursor))
        yield [entry(row) for row in found.data]
        cursor = found.next_cursor
        if cursor is None:
            return
