"""The end of a batch with parts: chunks that failed get parts too, and a table of the user's own gets its listing."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa
import structlog

from db.jobs import batches
from db.models import Job
from db.parts import listing, tables
from db.parts.reading import PartReader, without_part
from db.parts.sampling import sample
from db.session import Session
from tsukiji.errors import TsukijiError
from tsukiji.ingest.outputs import Output
from worker.lease import Lease, Stale, renew
from worker.part_files import destination, store_part
from worker.services import Services

log = structlog.get_logger(__name__)

LOG: Final = "_delta_log/00000000000000000000.json"
TYPES: Final = {
    pa.int64(): "long",
    pa.int32(): "integer",
    pa.float64(): "double",
    pa.float32(): "float",
    pa.string(): "string",
}


def conclude(services: Services, job: Job, lease: Lease) -> None:
    """Complete the parts of a batch whose images are all classified, list them, and end it."""

    def hold(session: Session) -> None:
        lease.check()
        renew(session, job, services.settings.jobs)

    list_parts(services, job, hold)
    with services.database.reading() as session:
        drawn = sample(PartReader(session, services.files, job))
    with services.database.transaction() as session:
        if not batches.conclude(session, job, drawn):
            raise Stale


def list_ended(services: Services) -> None:
    """List the parts of a batch that ended early: readers of the table see the partial results."""
    with services.database.reading() as session:
        job = listing.next_unlisted(session)
    if job is None:
        return
    note = listing.end
    try:
        list_parts(services, job)
    except TsukijiError as error:
        log.warning("parts_not_listed", job_id=job.id, error=str(error))
        note = listing.put_off
    with services.database.transaction() as session:
        note(session, job)


def list_parts(services: Services, job: Job, hold: Callable[[Session], None] = lambda _: None) -> None:
    """Give failed chunks parts, and write the listing of a table of the user's own; `hold` is part of transactions.

    Raises:
        StorageUnavailable, StorageFull, OutputNotAllowed
    """
    complete(services, job, hold)
    if (url := destination(job)) is None:
        return
    with services.database.reading() as session:
        chunks = PartReader(session, services.files, job).chunks()
        sizes = {part["url"].rpartition("/")[2]: part["bytes"] for chunk in chunks if (part := chunk.part)}
    output = services.files.outputs.open(url)
    if sizes:
        output.write(LOG, "".join(f"{json.dumps(line)}\n" for line in delta_log(job, sizes)).encode())
    delete_strays(output, sizes)


def complete(services: Services, job: Job, hold: Callable[[Session], None]) -> None:
    """Write parts for the chunks that failed: each image with the error."""
    with services.database.reading() as session:
        failed = batches.failed_chunks(session, job.id)
    for chunk in failed:
        part = store_part(services, job, chunk, without_part(services.files, job, chunk))
        with services.database.transaction() as session:
            hold(session)
            batches.complete_part(session, chunk, part)


def delta_log(job: Job, sizes: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Yield the actions of a Delta table's first version: its schema, and its files with their bytes.

    Source: https://github.com/delta-io/delta/blob/master/PROTOCOL.md
    """
    made = int(job.created_at.timestamp() * 1000)
    fields = [
        {"name": field.name, "type": delta_type(field.type), "nullable": True, "metadata": {}}
        for field in tables.SCHEMA
    ]
    yield {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}
    yield {
        "metaData": {
            "id": str(uuid5(NAMESPACE_URL, job.id)),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}),
            "partitionColumns": [],
            "configuration": {},
            "createdTime": made,
        }
    }
    for name, size in sizes.items():
        facts = {"path": name, "size": size, "modificationTime": made}
        yield {"add": facts | {"partitionValues": {}, "dataChange": True}}


def delta_type(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return {"type": "array", "elementType": TYPES[kind.value_type], "containsNull": True}
    return TYPES[kind]


def delete_strays(output: Output, listed: Collection[str]) -> None:
    """Delete what attempts left that lost their lease between writing a part and committing it."""
    for name in output.names():
        if name not in listed and (name.startswith("part-") or name.endswith(".tmp")):
            output.delete(name)
