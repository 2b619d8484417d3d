"""Writing parts: each once, in the store or where the batch wants them, before the row of its chunk names it."""

import pyarrow as pa

from db.jobs.batches import Part
from db.jobs.requests import BatchRequest
from db.models import Chunk, Job
from db.parts import tables
from db.parts.files import encoded, part_name
from db.predictions.decisions import Rule
from tsukiji.ingest.outputs import folder_of
from tsukiji.ingest.sources import join_url
from tsukiji.kernel.storage.blobs import digest_of
from worker.services import Services


def destination(job: Job) -> str | None:
    """Return the URL of the folder of a batch's parts; None: the store."""
    output = BatchRequest.of(job).output
    return None if output is None or output.url is None else folder_of(output.url, job.id)


def store_part(services: Services, job: Job, chunk: Chunk, table: pa.Table) -> Part:
    """Write the results of a chunk, under a name of this attempt or by their hash."""
    data, url = encoded(table, tables.GROUP_ROWS), destination(job)
    if url is None:
        blob = services.store.put(data)
    else:
        blob = digest_of([data])
        services.files.outputs.open(url).write(part_name(chunk), data)
    groups, errors = tables.counted(table, Rule.of(job))
    place = None if url is None else join_url(url, part_name(chunk))
    return Part(blob.sha256, blob.size, len(table) - sum(errors.values()), errors, groups, place)
