"""Submission of imports. Knows no HTTP."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from api.http.idempotency import Made, Once, fingerprint_of
from api.services import Services
from api.submit.admission import check_room, create
from api.submit.uploads import check_bytes, whole
from db import blobs
from db.curation import datasets
from db.jobs.requests import ImportRequest
from db.models import ApiKey
from db.session import Session
from tsukiji.errors import UrlNotAllowed
from tsukiji.ingest.importers import may_be_table
from tsukiji.ingest.sources import find_allowed
from tsukiji.jobs import JobKind, Queue
from tsukiji.kernel.storage import Blob
from tsukiji.types import ImportCreate, ImportOptions

URLS = "urls.jsonl"


@dataclass(frozen=True)
class Arrival:
    """What an import reads: an archive, a folder or a prefix; a table beside it, or alone."""

    upload: Blob | None = None
    filename: str | None = None
    source: str | None = None
    table: Blob | None = None
    table_name: str | None = None
    options: ImportOptions = field(default_factory=ImportOptions)

    def request(self, dataset_id: str) -> ImportRequest:
        pictures = {"source": self.source} if self.source else {"filename": self.filename} if self.upload else {}
        table = {"table": self.table_name} if self.table else {}
        return ImportRequest(dataset=dataset_id, **pictures, **table, options=self.options)

    @property
    def blobs(self) -> dict[str, Blob]:
        """The bytes by the job's columns."""
        found = {"upload_sha256": self.upload, "table_sha256": self.table}
        return {column: blob for column, blob in found.items() if blob}


def arrival_of(services: Services, body: ImportCreate) -> Arrival:
    """Return what is named in JSON.

    Raises:
        NotFound, UploadIncomplete, TooLarge, SourceNotAllowed, UrlNotAllowed
    """
    options = ImportOptions.model_validate(body.model_dump(include=set(ImportOptions.model_fields)))
    if body.urls is not None:
        return Arrival(table=keep_urls(services, body.urls), table_name=URLS, options=options)
    if body.source is not None:
        find_allowed(body.source, services.settings.sources.allowed)
    pictures = Arrival(source=body.source, options=options)
    if body.upload is not None:
        upload, blob = whole(services, body.upload)
        pictures = replace(pictures, upload=blob, filename=upload.name)
    if body.table is None:
        return pictures
    upload, blob = whole(services, body.table)
    check_bytes(blob, services.settings.limits.table_bytes, "table")
    return replace(pictures, table=blob, table_name=table_name(upload.name))


def keep_urls(services: Services, urls: Sequence[str]) -> Blob:
    """Keep addresses as a table.

    Raises:
        UrlNotAllowed: nothing is fetched from the web at all. Single addresses get their verdicts from the job.
    """
    if not services.settings.sources.hosts:
        raise UrlNotAllowed("This service does not fetch pictures from the web.")
    return services.store.put("".join(json.dumps({"url": url}) + "\n" for url in urls).encode())


def table_name(name: str) -> str:
    """Return a name whose ending says how the table is cut; an upload may have been given none."""
    return name if may_be_table(name) else f"{name or 'table'}.csv"


def start_import(services: Services, caller: ApiKey, once: Once, dataset: str, arrival: Arrival) -> Made:
    """Queue the reading of pictures into a data set.

    Raises:
        NotFound, QueueFull
    """
    hashes = {column: blob.sha256 for column, blob in arrival.blobs.items()}

    def make(session: Session) -> str:
        check_room(session, services, JobKind.IMPORT, caller)
        row = datasets.find(session, dataset)
        blobs.keep(session, [(blob.sha256, blob.size) for blob in arrival.blobs.values()])
        request = arrival.request(row.id)
        columns = {"dataset_id": row.id, **hashes}
        return create(session, services, caller, JobKind.IMPORT, request, unit="files", **columns).id

    made = once.make(services, fingerprint_of([dataset, arrival.request(dataset).to_row(), hashes]), make)
    if not made.replayed:
        services.notifier.notify(Queue.INTAKE)
    return made
