"""The input of a batch with an output, as a stream of items for its lists (`db.parts.item_lists`).

Nothing is copied that can be read again: the pictures of a folder or prefix stay where they are, and only their names
are listed. The pictures of an archive go into the list.
"""

import itertools
from collections.abc import Iterator
from typing import Any

from db.jobs.requests import ArchiveInput, BatchRequest, DatasetInput, FilesInput, ManifestInput, SourceInput
from db.models import Job
from db.parts.item_lists import STORED, ListedItem
from tsukiji.errors import ImageUnknown, Invalid, TsukijiError
from tsukiji.ingest.archives import Entry
from tsukiji.ingest.manifests import Line, read_lines
from tsukiji.ingest.skipped import SkippedFiles
from tsukiji.ingest.sources import Sources, join_url
from tsukiji.kernel.storage.blobs import read_pieces
from worker.inputs.batch_inputs import PAGE, images_of, item_of, look_up, refuse, refused
from worker.inputs.input_files import local_archive, opened, wanted
from worker.inputs.sanitize import kept
from worker.services import Services

Row = dict[str, Any]
"""Members of a list's schema; missing ones are null."""


def rows_of(services: Services, job: Job, passed: SkippedFiles, done: int, last: list[ListedItem]) -> Iterator[Row]:
    """Yield the items after the first `done`; `last` are those of the last list."""
    places = [item.place for item in last]
    after = next((place for place in reversed(places) if place is not None), None)
    skipped = done if after is None else places[::-1].index(after)
    return itertools.islice(all_rows(services, job, passed, after), skipped, None)


def all_rows(services: Services, job: Job, passed: SkippedFiles, after: str | None) -> Iterator[Row]:
    """Yield the items behind this place, where the input has places; otherwise all."""
    match BatchRequest.of(job).input:
        case ArchiveInput() as archive:
            return from_archive(services, job, passed, archive)
        case SourceInput() as named:
            return from_source(services.sources, named.source, services.settings.limits.image_bytes, passed, after)
        case ManifestInput():
            return from_manifest(services, job)
        case DatasetInput() as dataset:
            images = images_of(services, job, dataset, after)
            return (stored(item_of(image)) | {"place": image.id} for image in images)
        case FilesInput():
            raise Invalid("The files of this job were sent with its request.")


def from_source(
    sources: Sources, source: str, largest: int, passed: SkippedFiles, after: str | None = None
) -> Iterator[Row]:
    """Yield the pictures of a folder or prefix, each of at most `largest` bytes."""
    found = sources.open(source).entries(largest, after)
    for entry in wanted(found, passed):
        row = {"custom_id": kept(entry.name), "place": entry.place, "bytes": entry.size}
        if entry.error:
            yield refuse(row, entry.error)
        elif entry.place is None:  # its name cannot be written down
            yield row | content_of(entry)
        else:
            yield row | {"image": join_url(source, entry.place)}


def from_archive(services: Services, job: Job, passed: SkippedFiles, archive: ArchiveInput) -> Iterator[Row]:
    with opened(services, job, None, archive.encoding) as files:
        for entry in files(passed):
            yield {"custom_id": kept(entry.name)} | content_of(entry)


def content_of(entry: Entry) -> Row:
    try:
        data = entry.read()
    except TsukijiError as error:
        return refuse({}, error)
    return {"content": data, "bytes": len(data)}


def from_manifest(services: Services, job: Job) -> Iterator[Row]:
    """Yield an item for every line. Addresses are not read yet."""
    theirs = services.seen_by_caller(job)
    with local_archive(services, job) as path, path.open("rb") as file:
        lines = read_lines(read_pieces(file))
        while part := list(itertools.islice(lines, PAGE)):
            known = look_up(theirs.database, part)
            yield from (from_line(line, known) for line in part)


def from_line(line: Line, known: dict[str, Row]) -> Row:
    asked = line.request
    if asked is None:
        return refused(line, line.error)
    if "://" in asked.image:
        found: Row = {"image": asked.image}
    elif asked.image in known:
        found = stored(known[asked.image])
    else:
        return refused(line, ImageUnknown(f"Line {line.number}: there is no image {asked.image[:200]!r}."))
    return found | {"custom_id": line.custom_id, "true_label": asked.true_label or found.get("true_label")}


def stored(item: Row) -> Row:
    """Return the row of an item whose picture is in the store."""
    return item | {"image": f"{STORED}{item['sha256']}"}
