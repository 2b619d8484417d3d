"""Blobs as files in one folder: `ab/cd/<sha256>`, drafts in `tmp`, parts of uploads in `uploads/<id>/<number>`.

Workers on this machine read them in place. Blobs that were put together are first in one file in `groups`: a single
sync, where files of their own take two each. Soon afterwards they are copied to their own files, and the group is
deleted; whoever needs one before that copies it. A group left by a crash is read in the same way, and is copied when
the next process opens the store.
"""

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import BoundedSemaphore
from typing import IO, Final

import structlog

from tsukiji.errors import StorageFull, StorageUnavailable
from tsukiji.kernel.cores import usable_cores
from tsukiji.kernel.storage.blobs import (
    CHUNK_BYTES,
    Blob,
    BlobStore,
    Incoming,
    Source,
    Stored,
    check_joined,
    check_sha256,
    check_upload_id,
    hours_since,
    is_sha256,
    missing,
    part_missing,
    pour,
    read_pieces,
    verify,
)
from tsukiji.kernel.storage.disk import SYNCS_ALL, disk_errors, draft, publish, sync_all
from tsukiji.kernel.storage.groups import Member, members, write_index

log = structlog.get_logger(__name__)

STALE_SECONDS = 24 * 3600
LEAST_GROUP: Final = 4
"""Blobs; fewer are written one by one, at once."""
GROUPS_AT_ONCE: Final = 8
"""Most that wait to be copied; the next one waits too, so that a stream of requests does not fill the disk."""
FOLDER = re.compile("[0-9a-f]{2}")


class LocalStore(BlobStore):
    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._drafts = self.root / "tmp"
        self._groups = self.root / "groups"
        self._copier = ThreadPoolExecutor(1, "store-groups")
        self._room = BoundedSemaphore(GROUPS_AT_ONCE)
        with suppress(OSError):  # a missing folder, yet to be mounted or created, must not prevent the start
            self._sweep()

    def put(self, source: Source, known: Blob | None = None) -> Blob:
        with draft(self._drafts) as file:
            blob = pour(source, file, known)
            if known:
                publish(file, self._path(blob.sha256))  # replaces an existing file instead of hashing it
            else:
                self._keep(file, blob)
        return blob

    def put_many(self, sources: Sequence[bytes]) -> list[Blob]:
        if len(sources) < LEAST_GROUP:
            return [self.put(data) for data in sources]
        self._room.acquire()
        try:
            with draft(self._drafts) as file, ThreadPoolExecutor(usable_cores()) as pool:
                found = pool.map(lambda data: Blob(hashlib.sha256(data).hexdigest(), len(data)), sources)
                with disk_errors():
                    file.writelines(sources)
                    write_index(file, blobs := list(found))
                group = self._groups / Path(file.name).stem
                publish(file, group)
        except BaseException:
            self._room.release()
            raise
        self._copier.submit(self._copy_group, group).add_done_callback(self._copied)
        return blobs

    def _copied(self, copying: Future[None]) -> None:
        self._room.release()
        if error := copying.exception():  # its blobs are read from it, and the next process tries again
            log.warning("group_left", error=str(error))

    def stream(self, sha256: str, chunk: int = CHUNK_BYTES) -> Iterator[bytes]:
        with self._open(sha256) as file, disk_errors():
            yield from verify(sha256, read_pieces(file, chunk))

    def exists(self, sha256: str) -> bool:
        return self.local_path(sha256) is not None

    def delete(self, sha256: str) -> None:
        with disk_errors():
            self._path(sha256).unlink(missing_ok=True)

    def discard(self, sha256: str, hours: float) -> bool:
        path = self._path(sha256)
        aside = self._drafts / f"{secrets.token_hex(16)}.tmp"
        with disk_errors():
            self._drafts.mkdir(parents=True, exist_ok=True)
            try:
                path.replace(aside)  # a concurrent put creates it again
            except FileNotFoundError:
                return True
            if hours_since(aside.stat().st_mtime) >= hours:
                aside.unlink()
                return True
            aside.replace(path)
            return False

    def walk(self) -> Iterator[Stored]:
        with disk_errors():
            for folder in (inner for outer in _folders(self.root) for inner in _folders(outer)):
                for path in sorted(path for path in folder.iterdir() if is_sha256(path.name)):
                    with suppress(FileNotFoundError):
                        facts = path.stat()
                        yield Stored(path.name, facts.st_size, hours_since(facts.st_mtime))

    def check(self) -> None:
        with draft(self._drafts) as file, disk_errors():
            file.write(b"?")
            file.flush()

    def begin(self, upload_id: str) -> Incoming:
        check_upload_id(upload_id)
        return Incoming(upload_id, "")

    def put_part(self, incoming: Incoming, number: int, file: IO[bytes]) -> str:
        with draft(self._drafts) as part:
            file.seek(0)
            pour(read_pieces(file), part)
            publish(part, self._parts(incoming) / str(number))
        return ""

    def join(self, incoming: Incoming, tags: Sequence[str], sha256: str | None) -> Blob:
        with draft(self._drafts) as file:
            blob = pour(self._read_parts(incoming, len(tags)), file)
            check_joined(blob, sha256)
            self._keep(file, blob)
        return blob

    def drop(self, incoming: Incoming) -> None:
        with disk_errors(), suppress(FileNotFoundError):
            shutil.rmtree(self._parts(incoming))

    def local_path(self, sha256: str) -> Path | None:
        path = self._path(sha256)
        with disk_errors():
            if not path.is_file() and (member := self._member(sha256)):
                with suppress(FileNotFoundError):
                    self._copy(member, synced=True)
            return path if path.is_file() else None

    def _member(self, sha256: str) -> Member | None:
        """Return the blob in a group; None if it is in none, which may be because it was copied meanwhile."""
        with suppress(FileNotFoundError):
            for group in self._groups.iterdir():
                with suppress(FileNotFoundError):
                    if member := members(group).get(sha256):
                        return member
        return None

    def _copy(self, member: Member, *, synced: bool) -> None:
        with draft(self._drafts) as file:
            pour(member.pieces(), file, member.blob)
            self._keep(file, member.blob, synced=synced)

    def _copy_group(self, group: Path) -> None:
        """Copy all blobs of a group to their own files, sync these, and delete it."""
        with suppress(FileNotFoundError):  # another process, which has just started, did the same
            for member in members(group).values():
                self._copy(member, synced=not SYNCS_ALL)
        if SYNCS_ALL:
            sync_all(self.root)
        group.unlink(missing_ok=True)

    def _keep(self, file: IO[bytes], blob: Blob, *, synced: bool = True) -> None:
        path = self._path(blob.sha256)
        with suppress(FileNotFoundError):  # deleted meanwhile
            if _is_whole(path, blob):  # otherwise truncated or altered: replace it
                os.utime(path)
                return
        publish(file, path, synced=synced)

    def _parts(self, incoming: Incoming) -> Path:
        check_upload_id(incoming.id)
        return self.root / "uploads" / incoming.id

    def _read_parts(self, incoming: Incoming, count: int) -> Iterator[bytes]:
        for number in range(1, count + 1):
            try:
                with (self._parts(incoming) / str(number)).open("rb") as part, disk_errors():
                    yield from read_pieces(part)
            except FileNotFoundError as error:
                raise part_missing(incoming) from error

    def _open(self, sha256: str) -> IO[bytes]:
        path = self._path(sha256)
        with disk_errors():
            with suppress(FileNotFoundError):
                return path.open("rb")
            if member := self._member(sha256):
                with suppress(FileNotFoundError):
                    return BytesIO(b"".join(member.pieces()))
            try:
                return path.open("rb")  # copied meanwhile
            except FileNotFoundError as error:
                raise missing(sha256) from error

    def _path(self, sha256: str) -> Path:
        check_sha256(sha256)
        return self.root / sha256[:2] / sha256[2:4] / sha256

    def _sweep(self) -> None:
        """Delete drafts left by a crash, as no upload takes longer than a day; and copy groups.

        Now and not in a thread: after a power cut their blobs may have truncated files.
        """
        oldest = time.time() - STALE_SECONDS
        for path in self._drafts.iterdir():
            with suppress(FileNotFoundError):  # another process just finished it
                if path.stat().st_mtime < oldest:
                    path.unlink()
        for path in self._groups.iterdir():
            with suppress(StorageFull, StorageUnavailable):
                self._copy_group(path)


def _folders(root: Path) -> list[Path]:
    """Return the folders of a level, in order; none if it is missing."""
    try:
        return sorted(path for path in root.iterdir() if FOLDER.fullmatch(path.name))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_whole(path: Path, blob: Blob) -> bool:
    with disk_errors():
        if not path.is_file() or path.stat().st_size != blob.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == blob.sha256
