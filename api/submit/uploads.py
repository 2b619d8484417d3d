"""Uploads in parts: the store keeps the bytes, the rows say which parts are confirmed. Knows no HTTP."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from api.http.idempotency import Made, Once, fingerprint_of
from api.services import Services
from db import stored_bytes
from db.jobs import uploads
from db.models import ApiKey, Upload, UploadPart
from db.session import Session
from tsukiji.errors import (
    BlobMissing,
    DigestMismatch,
    NotFound,
    PartOutOfRange,
    PartSizeWrong,
    TooLarge,
    TooManyUploads,
    TsukijiError,
    UploadClosed,
    UploadIncomplete,
)
from tsukiji.ids import new_id
from tsukiji.kernel.storage import Blob, Incoming
from tsukiji.types import UploadCreate

LISTED_PARTS = 100


@dataclass(frozen=True)
class Wanted:
    """A part as it should come."""

    upload_id: str
    number: int
    bytes: int
    sha256: str


def begin(services: Services, caller: ApiKey, once: Once, body: UploadCreate) -> tuple[Made, bool]:
    """Return an upload of these bytes, and whether it is a new one: a hash finds the upload that was begun before.

    Raises:
        TooLarge, TooManyUploads, StorageQuotaExceeded
    """
    limits, hours = services.settings.limits, services.settings.jobs.upload_hours
    if body.bytes > limits.archive_bytes:
        raise TooLarge(f"{body.bytes:,} bytes; at most {limits.archive_bytes:,} are allowed.")
    fingerprint = fingerprint_of(body.model_dump())
    if made := once.found(services, fingerprint) or find_same(services, body):
        return made, False
    incoming = services.store.begin(new_id("upl"))
    begun: list[str] = []

    def make(session: Session) -> str:
        check_room(session, services, caller)
        stored_bytes.check(session, caller.project_id, body.bytes)
        columns = {"name": body.name, "bytes": body.bytes, "sha256": body.sha256, "created_by": caller.id}
        columns |= {"part_bytes": limits.part_bytes(body.bytes), "token": incoming.token}
        begun[:] = [uploads.add(session, incoming.id, hours, **columns).id]
        return incoming.id

    try:
        made = once.make(services, fingerprint, make)
    except TsukijiError:
        services.store.drop(incoming)
        raise
    if made.id != incoming.id:  # the same request had come by another connection
        services.store.drop(incoming)
    return made, bool(begun) and not made.replayed


def find_same(services: Services, body: UploadCreate) -> Made | None:
    if body.sha256 is None:
        return None
    with services.database.reading() as session:
        same = uploads.find_same(session, body.sha256, body.bytes)
    return None if same is None else Made(same.id, replayed=False)


def check_room(session: Session, services: Services, caller: ApiKey) -> None:
    limits = services.settings.limits
    for who, count, limit in (
        ("This key has", uploads.count_open(session, caller.id), limits.uploads),
        ("All keys together have", uploads.count_open(session), limits.all_uploads),
    ):
        if count >= limit:
            raise TooManyUploads(f"{who} {limit} unfinished uploads; no more are allowed.", limit=limit)


def expect(services: Services, upload_id: str, number: int, sha256: str) -> Wanted:
    """Return what the part must be, before its bytes are read.

    Raises:
        NotFound, PartOutOfRange
        UploadClosed: the upload is complete, with other bytes in this part.
    """
    with services.database.reading() as session:
        upload = uploads.find(session, upload_id)
        if not 1 <= number <= parts_total(upload):
            raise PartOutOfRange(f"There is no part {number}; the upload has parts 1 to {parts_total(upload)}.")
        known = uploads.find_part(session, upload_id, number)
    if upload.completed_at and not (known and known.sha256 == sha256):
        raise UploadClosed
    return Wanted(upload_id, number, part_size(upload, number), sha256)


def take_part(services: Services, wanted: Wanted, file: IO[bytes]) -> UploadPart:
    """Compare a part with what was announced, keep it, and then write down that it is there.

    Raises:
        PartSizeWrong, DigestMismatch: nothing of it is kept.
        NotFound, UploadClosed: the upload was deleted or completed meanwhile.
    """
    size = file.seek(0, 2)
    if size != wanted.bytes:
        raise PartSizeWrong(f"Part {wanted.number} has {wanted.bytes:,} bytes; {size:,} arrived.")
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # a temporary file is one
    if found != wanted.sha256:
        raise DigestMismatch(f"Part {wanted.number} came with the sha256 {found}; {wanted.sha256} was announced.")
    with services.database.reading() as session:
        upload = uploads.find(session, wanted.upload_id)
        known = uploads.find_part(session, wanted.upload_id, wanted.number)
    if known and known.sha256 == found:
        return known  # it was sent twice
    incoming = incoming_of(upload)
    part = {"number": wanted.number, "bytes": size, "sha256": found, "tag": ""}
    part["tag"] = services.store.put_part(incoming, wanted.number, file)
    with services.database.transaction() as session:
        confirmed = uploads.confirm(session, upload.id, services.settings.jobs.upload_hours, part)
    if not confirmed:
        services.store.drop(incoming)  # this part arrived after the others were deleted
        raise UploadClosed if is_alive(services, upload.id) else NotFound(f"There is no upload {upload.id!r}.")
    return UploadPart(upload_id=upload.id, **part)


def complete(services: Services, upload_id: str) -> None:
    """Join the parts to one blob, compare its hash with the announced one, and keep it. Once more does no harm.

    Raises:
        NotFound
        UploadIncomplete: parts are missing; `missing` lists the first of them.
        DigestMismatch, BlobMissing: the upload cannot become whole, and is deleted.
    """
    with services.database.reading() as session:
        upload, parts = uploads.find(session, upload_id), uploads.parts_of(session, upload_id)
    if upload.completed_at:
        return
    check_whole(upload, parts)
    incoming = incoming_of(upload)
    try:
        blob = services.store.join(incoming, [part.tag for part in parts], upload.sha256)
    except (DigestMismatch, BlobMissing):
        if is_completed(services, upload_id):
            return  # by the same request on another connection, which then deleted the parts
        remove(services, upload)
        raise
    with services.database.transaction() as session:
        uploads.complete(session, upload_id, services.settings.jobs.upload_hours, blob.sha256, blob.size)
    services.store.drop(incoming)


def remove(services: Services, upload: Upload) -> None:
    """Delete an upload: its parts first, so that a crash in between leaves a row that says what is left to do."""
    services.store.drop(incoming_of(upload))
    with services.database.transaction() as session:
        uploads.remove(session, upload.id)


def whole(services: Services, upload_id: str) -> tuple[Upload, Blob]:
    """Return a complete upload and its blob.

    Raises:
        NotFound, UploadIncomplete
    """
    with services.database.reading() as session:
        upload, parts = uploads.find(session, upload_id), uploads.parts_of(session, upload_id)
    if upload.blob_sha256 is None:
        check_whole(upload, parts)
        raise UploadIncomplete("All parts have arrived; POST /v1/uploads/{upload}/complete joins them.")
    return upload, Blob(upload.blob_sha256, upload.bytes)


def check_whole(upload: Upload, parts: Sequence[UploadPart]) -> None:
    there = {part.number for part in parts}
    missing = [number for number in range(1, parts_total(upload) + 1) if number not in there]
    if missing:
        detail = f"{len(missing)} of {parts_total(upload)} parts are missing."
        raise UploadIncomplete(detail, missing=missing[:LISTED_PARTS])


def parts_total(upload: Upload) -> int:
    return -(-upload.bytes // upload.part_bytes)


def part_size(upload: Upload, number: int) -> int:
    return min(upload.part_bytes, upload.bytes - (number - 1) * upload.part_bytes)


def incoming_of(upload: Upload) -> Incoming:
    return Incoming(upload.id, upload.token)


def is_alive(services: Services, upload_id: str) -> bool:
    try:
        with services.database.reading() as session:
            uploads.find(session, upload_id)
    except NotFound:
        return False
    return True


def is_completed(services: Services, upload_id: str) -> bool:
    with services.database.reading() as session:
        return uploads.find(session, upload_id).completed_at is not None


def check_bytes(blob: Blob, allowed: int, name: str) -> None:
    """Raise TooLarge over the limit."""
    if blob.size > allowed:
        raise TooLarge(f"The {name} has {blob.size:,} bytes; at most {allowed:,} are allowed.")
