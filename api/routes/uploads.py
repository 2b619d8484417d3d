"""Uploads: large files in parts, each verified by its hash, resumable."""

import base64
import binascii
import re

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from api.http.access import needs
from api.http.bodies import RawBody, announced_bytes, spool
from api.http.dependencies import Caller, Reading, ServicesDep
from api.http.idempotency import OnceDep
from api.http.paging import PagingDep
from api.http.routing import Router
from api.http.schemas import BINARY, body
from api.serialize import records
from api.submit import uploads
from db.jobs import uploads as rows
from db.session import Session
from tsukiji.errors import Invalid, PartSizeWrong
from tsukiji.types import Page, Upload, UploadCreate, UploadPart

router = Router(prefix="/uploads", tags=["uploads"])

DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):\s*(?:,|$)")
DIGEST_HEADERS = ("content-digest", "repr-digest")
DIGEST_PARAMETER = {
    "name": "Content-Digest",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "pattern": DIGEST.pattern},
    "description": "`sha-256=:<base64>:` of this part's bytes (RFC 9530); `Repr-Digest` also works.",
}


@router.post(
    "",
    status_code=201,
    responses={200: {"model": Upload, "description": "An upload with the same hash already exists"}},
)
@needs("predict", "label")
def create_upload(
    body: UploadCreate, services: ServicesDep, caller: Caller, once: OnceDep, response: Response
) -> Upload:
    """Start an upload, or resume one: the same `sha256` and `bytes` return the same upload (200)."""
    made, new = uploads.begin(services, caller, once, body)
    response.status_code = 201 if new or made.replayed else 200
    response.headers.update({"location": f"/v1/uploads/{made.id}", **made.headers})
    with services.database.reading() as session:
        return describe(session, made.id)


@router.get("")
@needs("predict", "label")
def list_uploads(session: Reading, paging: PagingDep) -> Page[Upload]:
    """List the uploads that have not expired, newest first, without their parts."""
    found = rows.page(session, paging.window())
    confirmed = rows.confirmed_bytes(session, [row.id for row in found.data])
    return paging.answer(found, lambda row: records.upload(row, confirmed.get(row.id, 0)))


@router.get("/{upload}")
@needs("predict", "label")
def get_upload(upload: str, session: Reading) -> Upload:
    """Get an upload: `parts` are confirmed and need not be sent again."""
    return describe(session, upload)


@router.put(
    "/{upload}/parts/{number}",
    openapi_extra={**body(bytes=BINARY), "parameters": [DIGEST_PARAMETER]},
)
@needs("predict", "label", audited=False)
async def put_part(upload: str, number: int, request: Request, services: ServicesDep) -> UploadPart:
    """Send one part as the raw body, in any order. It must match the hash in the header; sending it again is safe.

    Part n has the bytes from (n - 1) * `part_bytes` on, `part_bytes` of them; the last one has the rest.
    """
    sha256 = read_digest(request)
    wanted = await run_in_threadpool(uploads.expect, services, upload, number, sha256)
    announced = announced_bytes(request.headers)
    if announced is not None and announced != wanted.bytes:
        raise PartSizeWrong(f"Part {number} has {wanted.bytes:,} bytes; {announced:,} were announced.")
    with spool(services) as file:
        await (await RawBody.begin(request)).save(file)
        part = await run_in_threadpool(uploads.take_part, services, wanted, file)
    return records.upload_part(part)


@router.post("/{upload}/complete")
@needs("predict", "label")
def complete_upload(upload: str, services: ServicesDep) -> Upload:
    """Join the parts and verify the hash of the whole file."""
    uploads.complete(services, upload)
    with services.database.reading() as session:
        return describe(session, upload)


@router.delete("/{upload}", status_code=204)
@needs("predict", "label")
def delete_upload(upload: str, services: ServicesDep) -> None:
    """Delete an upload; jobs that were started with it continue."""
    with services.database.reading() as session:
        row = rows.find(session, upload)
    uploads.remove(services, row)


def describe(session: Session, upload_id: str) -> Upload:
    row, parts = rows.find(session, upload_id), rows.parts_of(session, upload_id)
    return records.upload(row, sum(part.bytes for part in parts), parts)


def read_digest(request: Request) -> str:
    """Return the sha256 that the request gives for its body, in hex.

    Raises:
        Invalid: it gives none.
    """
    for name in DIGEST_HEADERS:
        if found := DIGEST.search(request.headers.get(name, "")):
            try:
                return base64.b64decode(found[1], validate=True).hex()
            except binascii.Error:
                break
    line = {"parameter": "Content-Digest", "code": "invalid", "detail": "sha-256=:<base64 of the part's sha256>:"}
    raise Invalid("A part needs its hash: Content-Digest: sha-256=:<base64>:", errors=[line])
