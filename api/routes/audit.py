"""The audit log: who did what, when, from where."""

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import StreamingResponse

from api.http.access import needs
from api.http.dependencies import Reading, ServicesDep
from api.http.paging import PagingDep
from api.http.routing import Router
from api.http.schemas import bytes_answer
from api.serialize.audit import CSV, JSON_LINES, ChoiceDep, entry, stream
from db import audit
from tsukiji.types import AuditEntry, Page

router = Router(prefix="/audit", tags=["audit"])


@router.get("")
@needs("admin")
def list_audit_entries(session: Reading, paging: PagingDep, choice: ChoiceDep) -> Page[AuditEntry]:
    """List what was done, newest first: every request that changed something, but predictions and parts of uploads."""
    return paging.answer(audit.page(session, choice, paging.window(repr(choice))), entry)


@router.get("/export", response_class=StreamingResponse, responses=bytes_answer(JSON_LINES, CSV))
@needs("admin")
def export_audit(
    services: ServicesDep,
    choice: ChoiceDep,
    wanted: Annotated[Literal["jsonl", "csv"], Query(alias="format")] = "jsonl",
) -> StreamingResponse:
    """Stream the entries as JSON lines or CSV, newest first."""
    lines: Iterator[bytes] = stream(services, choice, wanted)
    kind = f"{CSV}; charset=utf-8" if wanted == "csv" else JSON_LINES
    return StreamingResponse(
        lines, media_type=kind, headers={"content-disposition": f'attachment; filename="audit.{wanted}"'}
    )
