"""The input of an import: each picture with its information from tables and folders; files first, then addresses."""

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from db.curation import datasets
from db.jobs.requests import ImportRequest
from db.models import Job
from tsukiji.errors import TsukijiError
from tsukiji.ingest.archives import Entry
from tsukiji.ingest.importers import Layout, Placement, Remote, Table, lay_out, may_be_table, sampled_label
from tsukiji.ingest.skipped import SkippedFiles
from tsukiji.kernel.pipeline import submit_ahead
from tsukiji.types import ImportOptions, Kind
from worker.inputs.batch_inputs import read_url
from worker.inputs.input_files import opened
from worker.inputs.samples import digit_files
from worker.services import Services

Files = Callable[[SkippedFiles], Iterator[Entry]]


@dataclass(frozen=True, slots=True)
class ImportPicture:
    """One picture; readable during its iteration."""

    name: str
    placement: Placement
    read: Callable[[], bytes]


@dataclass(frozen=True)
class ImportInput:
    """Everything an import reads, in a fixed order: an attempt continues where the one before stopped."""

    services: Services
    files: Files
    layout: Layout
    pictures: int
    """Files that are not tables."""
    passed: SkippedFiles

    @property
    def total(self) -> int:
        return self.pictures + len(self.layout.faults) + len(self.layout.remotes)

    @property
    def warnings(self) -> list[dict[str, Any]]:
        return [*self.layout.warnings, *self.passed.warnings()]

    def after(self, start: int) -> Generator[tuple[int, ImportPicture], None, None]:
        """Yield number and picture, from this number on."""
        here = self.pictures + len(self.layout.faults)
        yield from itertools.islice(enumerate(itertools.chain(self._files(), self._faults())), start, None)
        left = self.layout.remotes[max(0, start - here) :]
        yield from enumerate(fetched(self.services, left), max(start, here))

    def _files(self) -> Iterator[ImportPicture]:
        for entry in self.files(SkippedFiles()):  # skipped files were counted in the survey
            if entry.error is not None or entry.name not in self.layout.tables:
                yield ImportPicture(entry.name, self.layout.place(entry.name), entry.read)

    def _faults(self) -> Iterator[ImportPicture]:
        for name, error in self.layout.faults:
            yield ImportPicture(name, Placement(error=error), bytes)


@contextmanager
def open_input(services: Services, job: Job) -> Iterator[ImportInput]:
    """Yield the job's input.

    Raises:
        ArchiveError, SourceMissing, ...: errors of the whole input, found before anything is stored.
        TableInvalid: the table sent with it is invalid.
    """
    asked = ImportRequest.of(job)
    with services.database.reading() as session:
        kind = cast("Kind", datasets.find(session, job.dataset_id or "").kind)
    if asked.sample:
        yield survey(services, job, digit_files, asked, kind)
        return
    if job.upload_sha256 is None and asked.source is None:
        yield survey(services, job, no_files, asked, kind)
        return
    with opened(services, job, asked.source, asked.options.encoding) as files:
        yield survey(services, job, files, asked, kind)


def no_files(_: SkippedFiles) -> Iterator[Entry]:
    return iter(())


def survey(services: Services, job: Job, files: Files, asked: ImportRequest, kind: Kind) -> ImportInput:
    """Scan the files once, to count them and to find the tables among them."""
    room, count, passed = services.settings.limits.table_bytes, 0, SkippedFiles()
    names: list[str] = []
    tables: list[Table] = []
    for entry in files(passed):
        count += 1
        if entry.error is not None:
            continue
        names.append(entry.name)
        if asked.options.format != "folders" and may_be_table(entry.name) and (data := read_table(entry, room)):
            room -= len(data)
            tables.append(Table(entry.name, data))
    if job.table_sha256 is not None:
        data = services.store.read(job.table_sha256)
        tables.append(Table(asked.table or "table.csv", data, is_named=True))
    options = with_sampled_label(asked, names)
    container = asked.filename or asked.source or ""
    layout = lay_out(names, tables, options, services.settings.limits.archive_entries, kind, container)
    pictures = count - len(layout.tables & set(names))
    return ImportInput(services.seen_by_caller(job), files, layout, pictures, passed)


def read_table(entry: Entry, room: int) -> bytes:
    """Return a file's bytes; empty if unreadable, or larger than the remaining budget for tables."""
    try:
        data = entry.read()
    except TsukijiError as error:
        if error.retriable:
            raise
        return b""  # its own verdict will say why
    return data if len(data) <= room else b""


def with_sampled_label(asked: ImportRequest, names: Sequence[str]) -> ImportOptions:
    """Label by the archive's name if the archive holds samples of one class without folders."""
    options, label = asked.options, sampled_label(asked.filename)
    if (
        label is None
        or options.label
        or options.format not in {"auto", "teachable"}
        or any("/" in name for name in names)
    ):
        return options
    return options.model_copy(update={"label": label})


def fetched(services: Services, remotes: Iterable[Remote]) -> Iterator[ImportPicture]:
    """Yield the pictures in order, with several downloads in progress."""
    at_once = services.settings.sources.url_connections
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="fetch")
    try:
        for remote, data in submit_ahead(pool, partial(fetch, services), remotes, at_once):
            yield ImportPicture(remote.url, remote.placement, data.result)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a stopping worker does not wait for servers


def fetch(services: Services, remote: Remote) -> bytes:
    return b"" if remote.placement.error else read_url(services, remote.url)
