"""Backups of a service: its rows of one moment and the blobs that they name, in a folder or bucket; and the way back.

A place keeps blobs as a store does, so what is there already is not copied again. The rows are one more blob: a SQLite
database, whatever the service uses. The page that names it is written last, and there is no backup before that.
"""

import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError
from sqlalchemy import delete, select

from db import blobs
from db.clock import now
from db.copying import SLICE, check_empty, check_stopped, copy_tables
from db.models import Blob, Upload, WorkerSeen
from db.reconciliation import pages, reconcile
from db.session import Database
from db.upgrade import revision_of, upgrade
from tsukiji.errors import BlobCorrupt, BlobMissing, Invalid, NotFound
from tsukiji.kernel.settings import Settings
from tsukiji.kernel.storage import BlobStore, open_pages, open_store

AT_ONCE: Final = 8
"""Blobs that are copied at a time."""
NAMED: Final = 3


class Backup(BaseModel):
    """What the page of a backup says."""

    created_at: datetime
    revision: str
    """Of the schema of the rows."""
    rows: str
    """sha256 of the SQLite database."""
    blobs: int
    bytes: int
    """Of the blobs."""
    damaged: list[str]
    """Hashes that rows refer to, and that the service's own store lacked or had altered."""

    @property
    def name(self) -> str:
        return f"{self.created_at:%Y-%m-%dT%H%M%S}-{self.created_at.microsecond // 1000:03}.json"


def place_of(settings: Settings, text: str, endpoint_url: str | None) -> Settings:
    """Return settings whose store is a place of backups: a folder, or `s3://bucket/prefix`.

    Raises:
        Invalid: it is the service's own store, or within it or around it.
    """
    url = text.rstrip("/") if "://" in text else f"file://{Path(text).resolve()}"
    own = settings.storage_url.rstrip("/")
    if f"{url}/".startswith(f"{own}/") or f"{own}/".startswith(f"{url}/"):
        raise Invalid(f"{url} and the service's own store overlap.", hint="Name a place of its own for backups.")
    changes = {"url": url} | ({"endpoint_url": endpoint_url} if endpoint_url else {})
    return settings.model_copy(update={"storage": settings.storage.model_copy(update=changes)})


def back_up(service: Settings, place: Settings) -> Iterator[Backup]:
    """Copy rows, then blobs, while the service may run; yield the backup as it grows, and whole at the end.

    A blob that is deleted meanwhile had no use in these rows, or was released no longer ago than its grace period.

    Raises:
        Invalid: the database has another schema than this code.
    """
    source, target = open_store(service), open_store(place)
    with tempfile.TemporaryDirectory(prefix="tsukiji-backup-") as folder:
        file = Path(folder) / "rows.db"
        backup = copy_rows(service, at(service, file))
        with opened(at(service, file)) as rows:
            lacking: list[str] = []
            for number, size, absent in copy_blobs(rows, source, target):
                lacking += absent
                backup = backup.model_copy(update={"blobs": backup.blobs + number, "bytes": backup.bytes + size})
                yield backup
            with rows.transaction() as session:
                gone = set(blobs.forget(session, lacking))
        backup = backup.model_copy(update={"rows": target.put(file).sha256, "damaged": sorted({*lacking} - gone)})
        open_pages(target).write(backup.name, backup.model_dump_json(indent=2).encode())
    yield backup


def copy_rows(service: Settings, target: Settings) -> Backup:
    """Copy the rows of one moment, without what has no meaning later: workers, and uploads that are under way."""
    upgrade(target)
    with opened(service) as old, opened(target) as new, old.snapshot() as reading, new.transaction() as writing:
        revision = revision_of(reading.connection())
        if revision.found != revision.head:
            detail = f"The database has the schema {revision.found}, this code {revision.head}."
            raise Invalid(detail, hint="Back up with the version that the service runs, or migrate it: `db upgrade`.")
        for _ in copy_tables(reading.connection(), writing.connection()):
            pass
        writing.execute(delete(WorkerSeen))
        writing.execute(delete(Upload).where(Upload.completed_at.is_(None)))
        moment = writing.scalars(select(now())).one()
    return Backup(created_at=moment, revision=revision.head, rows="", blobs=0, bytes=0, damaged=[])


def copy_blobs(rows: Database, source: BlobStore, target: BlobStore) -> Iterator[tuple[int, int, list[str]]]:
    """Copy what rows name and the target lacks, verified.

    Yields for each range of hashes how many blobs the target has now, their bytes, and hashes that the source lacks or
    has altered.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for named, stored in pages(rows, target):
            absent = [one for one, size in named.items() if one not in stored or stored[one].size != size]
            found = pool.map(lambda one: copy_blob(one, source, target), absent)
            lacking = [one for one, good in zip(absent, found, strict=True) if not good]
            good = named.keys() - set(lacking)
            yield len(good), sum(named[one] for one in good), lacking


def copy_blob(sha256: str, source: BlobStore, target: BlobStore) -> bool:
    try:
        target.put(source.stream(sha256))
    except (BlobMissing, BlobCorrupt):
        return False
    return True


def prune(place: Settings, keep: int) -> int:
    """Delete all backups but the newest ones, then blobs that none of these has; returns how many blobs.

    Blobs younger than the grace period are left: another backup may be about to name them.
    """
    store = open_store(place)
    listed = open_pages(store)
    names = listed.names()
    for name in names[:-keep]:
        listed.delete(name)
    with rows_of(place) as (newest, wanted):
        with wanted.transaction() as session:
            blobs.keep(session, [(newest.rows, 0)], made=True)  # rows are blobs there, too; their size is not asked for
        for name in names[-keep:-1]:
            with rows_of(place, name) as (backup, rows), rows.reading() as reading, wanted.transaction() as session:
                blobs.keep(session, [(backup.rows, 0)], made=True)
                for page in reading.execute(select(Blob.sha256, Blob.bytes)).partitions(SLICE):
                    blobs.keep(session, [(sha256, size) for sha256, size in page], made=True)
        (found,) = deque(reconcile(wanted, store, place.jobs.blob_grace_hours, trusting=True), maxlen=1)
    return found.discarded


def restore(place: Settings, service: Settings, name: str | None = None) -> Iterator[tuple[str, int]]:
    """Copy the blobs of a backup, the newest by default, then its rows in one transaction; yield what, and how many.

    The rows may be of an older version: they are migrated first. Interrupted, it left no rows, and can be run again.

    Raises:
        NotFound: there is no such backup.
        Invalid: the service runs, has data already, or is older than the backup.
        BlobMissing: the backup is damaged. No row was restored.
    """
    with rows_of(place, name) as (backup, rows):
        upgrade(service)
        with opened(service) as database:
            with database.reading() as session:
                check_stopped(session)
                check_empty(session.connection())
            lacking, copied = set[str](), 0
            for number, _, absent in copy_blobs(rows, open_store(place), open_store(service)):
                lacking, copied = lacking | set(absent), copied + number
                yield "blobs", copied
            check_whole(lacking - set(backup.damaged))
            with rows.reading() as reading, database.transaction() as writing:
                check_empty(writing.connection())
                yield from copy_tables(reading.connection(), writing.connection())


def check_whole(lacking: set[str]) -> None:
    """Raise BlobMissing if a backup lacks what it should have."""
    if lacking:
        detail = f"The backup lacks {len(lacking)} blobs, or has them altered, such as {min(lacking)}."
        raise BlobMissing(detail, hint="Nothing was restored. Restore another backup (--backup), or back up again.")


@contextmanager
def rows_of(place: Settings, name: str | None = None) -> Iterator[tuple[Backup, Database]]:
    """Fetch the rows of a backup, migrated to this code's schema.

    Raises:
        NotFound: there is no such backup.
        Invalid: it was made by a newer version.
        BlobCorrupt: its rows are damaged; BlobMissing: they are gone.
    """
    backup = find(place, name)
    with tempfile.TemporaryDirectory(prefix="tsukiji-restore-") as folder:
        settings = at(place, Path(folder) / "rows.db")
        open_store(place).fetch(backup.rows, Path(folder) / "rows.db")
        with opened(settings) as rows, rows.reading() as session:
            if backup.revision not in revision_of(session.connection()).known:
                raise Invalid("A newer version made this backup.", hint="Restore it with that version, or a later one.")
        upgrade(settings)
        with opened(settings) as rows:
            yield backup, rows


def find(place: Settings, name: str | None) -> Backup:
    """Return a backup, the newest by default.

    Raises:
        NotFound
        Invalid: its page cannot be read.
    """
    listed = open_pages(open_store(place))
    names = listed.names()
    wanted = f"{name.removesuffix('.json')}.json" if name else (names or [""])[-1]
    if wanted not in names:
        there = f"There are: {', '.join(one.removesuffix('.json') for one in names[-NAMED:])}." if names else None
        raise NotFound(f"There is no such backup in {place.storage_url}.", hint=there or "Name the place of `backup`.")
    try:
        return Backup.model_validate_json(listed.read(wanted))
    except ValidationError as error:
        raise Invalid(f"{wanted} is not the page of a backup.", hint="Restore another one with --backup.") from error


def at(settings: Settings, file: Path) -> Settings:
    """Return settings whose database is this SQLite file."""
    return settings.model_copy(update={"database": settings.database.model_copy(update={"url": f"sqlite:///{file}"})})


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    database = Database(settings)
    try:
        yield database
    finally:
        database.close()
