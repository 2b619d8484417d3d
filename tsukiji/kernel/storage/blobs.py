"""The interface of all blob stores, with shared functions."""

import hashlib
import re
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

from tsukiji.errors import BlobCorrupt, BlobMissing, DigestMismatch, Invalid
from tsukiji.kernel.storage.disk import disk_errors, draft, publish

CHUNK_BYTES = 2**20
PUTS_AT_ONCE: Final = 16
Source = bytes | Path | Iterable[bytes]


@dataclass(frozen=True)
class Blob:
    """Bytes in a store: `sha256` in lower-case hex, `size` in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Stored:
    """A blob in a store, unread: `size` in bytes, and the hours since it was last put."""

    sha256: str
    size: int
    hours: float


@dataclass(frozen=True)
class Incoming:
    """A blob uploaded in parts: our id, and the store's own id from `begin`."""

    id: str
    token: str


class BlobStore(Protocol):
    """A store of blobs; safe for concurrent threads and processes.

    Every method with a sha256 raises `Invalid` if it is malformed; every method raises `StorageUnavailable` if the
    store is unreachable.
    """

    @abstractmethod
    def put(self, source: Source, known: Blob | None = None) -> Blob:
        """Store the bytes; after it returns they survive a crash. Storing the same bytes again renews their age.

        Args:
            source: the bytes, a file that has them, or pieces of them.
            known: their hash and size, if the caller just computed them: they are not hashed again.

        Raises:
            StorageFull: there is no room; nothing is left behind.
            DigestMismatch: the size differs from `known`; nothing is stored.
        """

    def put_many(self, sources: Sequence[bytes]) -> list[Blob]:
        """Store many blobs, as `put` does; after it returns all of them survive a crash. Raises what `put` raises."""
        with ThreadPoolExecutor(PUTS_AT_ONCE) as pool:  # each waits for the store, which takes many at once as for one
            return list(pool.map(self.put, sources))

    @abstractmethod
    def stream(self, sha256: str, chunk: int = CHUNK_BYTES) -> Iterator[bytes]:
        """Yield the bytes in pieces of at most `chunk`. Errors are raised while iterating.

        Raises:
            BlobMissing: there is no blob with this hash.
            BlobCorrupt: the bytes do not match it (raised after the last piece).
        """

    @abstractmethod
    def exists(self, sha256: str) -> bool: ...

    @abstractmethod
    def delete(self, sha256: str) -> None:
        """Delete the bytes, if they exist."""

    @abstractmethod
    def discard(self, sha256: str, hours: float) -> bool:
        """Delete the bytes unless they were put within that time: a running request may be about to refer to them.

        Returns whether they are gone.
        """

    @abstractmethod
    def walk(self) -> Iterator[Stored]:
        """Yield all blobs, ordered by hash; those added or deleted meanwhile may or may not be included."""

    @abstractmethod
    def check(self) -> None:
        """Raise `StorageUnavailable` or `StorageFull` if the store cannot be used now."""

    @abstractmethod
    def begin(self, upload_id: str) -> Incoming:
        """Start a blob in parts, which may arrive in any order and from any process."""

    @abstractmethod
    def put_part(self, incoming: Incoming, number: int, file: IO[bytes]) -> str:
        """Store one part, from the file's beginning; after it returns it survives a crash. The last put wins.

        Returns the store's tag of the part, required by `join`.

        Raises:
            BlobMissing: the upload no longer exists.
        """

    @abstractmethod
    def join(self, incoming: Incoming, tags: Sequence[str], sha256: str | None) -> Blob:
        """Join parts 1, 2, 3, ... to one blob and return it; may be repeated until `drop`.

        Raises:
            DigestMismatch: the result has another hash than `sha256`; nothing is stored under either.
            BlobMissing: a part is gone.
        """

    @abstractmethod
    def drop(self, incoming: Incoming) -> None:
        """Delete the parts, if they exist; the joined blob is kept."""

    def local_path(self, sha256: str) -> Path | None:
        """Return the blob's own file, read-only, if the store has one on this machine."""
        check_sha256(sha256)
        return None

    def read(self, sha256: str) -> bytes:
        """Return the bytes, verified. Raises what `stream` raises."""
        return b"".join(self.stream(sha256))

    def fetch(self, sha256: str, target: Path) -> None:
        """Copy the verified bytes to the file `target`, atomically. Raises what `stream` and `put` raise."""
        with draft(target.parent) as file:
            pour(self.stream(sha256), file)
            publish(file, target)


def pour(source: Source, file: IO[bytes], known: Blob | None = None) -> Blob:
    """Write `source` to `file`, and hash it meanwhile unless known; errors of the source are not wrapped."""

    def write() -> Iterator[bytes]:
        for piece in _pieces(source):
            with disk_errors():
                file.write(piece)
            yield piece

    if known is None:
        return digest_of(write())
    check_size(sum(len(piece) for piece in write()), known)
    return known


def check_size(size: int, known: Blob) -> None:
    """Raise `DigestMismatch` unless the size matches."""
    if size != known.size:
        raise DigestMismatch(f"{size} bytes arrived; {known.size} with the sha256 {known.sha256} were announced.")


def digest_of(pieces: Iterable[bytes]) -> Blob:
    """Return hash and size of these bytes."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return Blob(digest.hexdigest(), size)


def verify(sha256: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield `pieces`, then raise `BlobCorrupt` if their hash differs."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != sha256:
        raise BlobCorrupt(
            f"The bytes stored as {sha256} have another hash.", hint="Send the file again.", sha256=sha256
        )


def is_sha256(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", text) is not None


def check_sha256(text: str) -> None:
    """Raise `Invalid` unless this is a hash; only checked ones reach a path or key."""
    if not is_sha256(text):
        raise Invalid(f"{text[:80]!r} is not a sha256.", hint="Give 64 hexadecimal digits in lower case.")


def hours_since(moment: float) -> float:
    """Return the hours since a time given in seconds since 1970."""
    return max(0.0, time.time() - moment) / 3600


def check_upload_id(text: str) -> None:
    """Raise `Invalid` unless this is an id of ours; only checked ones reach a path or key."""
    if not re.fullmatch("[a-z]{1,8}_[0-9a-z]{26}", text):
        raise Invalid(f"{text[:80]!r} is not an upload id.")


def check_joined(blob: Blob, sha256: str | None) -> None:
    """Raise `DigestMismatch` unless the blob has the announced hash, if one was announced."""
    if sha256 not in {None, blob.sha256}:
        raise DigestMismatch(f"The file has the sha256 {blob.sha256}; {sha256} was announced.")


def part_missing(incoming: Incoming) -> BlobMissing:
    return BlobMissing(f"Parts of {incoming.id} are missing from the store.", hint="Send the whole file again.")


def missing(sha256: str) -> BlobMissing:
    return BlobMissing(f"Nothing is stored as {sha256}.", hint="Send the file again.", sha256=sha256)


def read_pieces(file: IO[bytes], chunk: int = CHUNK_BYTES) -> Iterator[bytes]:
    while piece := file.read(chunk):
        yield piece


def _pieces(source: Source) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
    elif isinstance(source, Path):
        with source.open("rb") as file:
            yield from read_pieces(file)
    else:
        yield from source
