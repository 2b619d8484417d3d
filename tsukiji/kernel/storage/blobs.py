"""What every store of blobs can do, and what they share. Knows no particular store."""

import hashlib
import re
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from tsukiji.errors import BlobCorrupt, BlobMissing, DigestMismatch, Invalid
from tsukiji.kernel.storage.disk import disk_errors, draft, publish

CHUNK_BYTES = 2**20
Source = bytes | Path | Iterable[bytes]


@dataclass(frozen=True)
class Blob:
    """Bytes in a store: `sha256` in lower-case hex, `size` in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Stored:
    """What a store has under a hash, unread: `size` in bytes, and the hours since it was last put."""

    sha256: str
    size: int
    hours: float


@dataclass(frozen=True)
class Incoming:
    """A blob that arrives in parts: our id for it, and the store's own word for it, which `begin` gave."""

    id: str
    token: str


class BlobStore(Protocol):
    """A store of blobs; safe to use from many threads and many processes at once.

    Every verb that takes a sha256 raises `Invalid` where it is none; every verb raises `StorageUnavailable` where the
    store cannot be reached.
    """

    @abstractmethod
    def put(self, source: Source, known: Blob | None = None) -> Blob:
        """Keep the bytes; once this returns they survive a crash. The same bytes are kept once, and are new again.

        Args:
            source: the bytes, a file that has them, or pieces of them.
            known: what they are, where the caller has just hashed them: they are not hashed again.

        Raises:
            StorageFull: there is no room; nothing is left behind.
            DigestMismatch: there are more or fewer bytes than `known` says; nothing is kept.
        """

    @abstractmethod
    def stream(self, sha256: str, chunk: int = CHUNK_BYTES) -> Iterator[bytes]:
        """Yield the bytes in pieces of at most `chunk`. Errors come while iterating.

        Raises:
            BlobMissing: nothing is kept under this hash.
            BlobCorrupt: the bytes do not match it (known, and raised, after the last piece).
        """

    @abstractmethod
    def exists(self, sha256: str) -> bool: ...

    @abstractmethod
    def delete(self, sha256: str) -> None:
        """Forget the bytes, if they are there."""

    @abstractmethod
    def discard(self, sha256: str, hours: float) -> bool:
        """Forget the bytes unless they were put within that time: a request under way may be about to refer to them.

        Returns whether they are gone.
        """

    @abstractmethod
    def walk(self) -> Iterator[Stored]:
        """Yield what is kept, in the order of the hashes; of what comes or goes meanwhile, some."""

    @abstractmethod
    def check(self) -> None:
        """Return if the store can be used now; raise `StorageUnavailable` or `StorageFull` if it cannot."""

    @abstractmethod
    def begin(self, upload_id: str) -> Incoming:
        """Make room for a blob that will arrive in parts, in any order and from any process."""

    @abstractmethod
    def put_part(self, incoming: Incoming, number: int, file: IO[bytes]) -> str:
        """Keep one part, from the file's beginning; once this returns it survives a crash. The last one put counts.

        Returns the store's tag of the part, which `join` needs.

        Raises:
            BlobMissing: the store knows nothing of this upload any more.
        """

    @abstractmethod
    def join(self, incoming: Incoming, tags: Sequence[str], sha256: str | None) -> Blob:
        """Make parts 1, 2, 3, ... one blob and return it; may be repeated until `drop`.

        Raises:
            DigestMismatch: the whole has another hash than `sha256`; nothing is kept under either.
            BlobMissing: a part is gone.
        """

    @abstractmethod
    def drop(self, incoming: Incoming) -> None:
        """Forget the parts, if they are there; what was joined stays."""

    def local_path(self, sha256: str) -> Path | None:
        """Return the blob's own file, to be read only, where the store has it as one on this machine."""
        check_sha256(sha256)
        return None

    def read(self, sha256: str) -> bytes:
        """Return the bytes, verified. Raises what `stream` raises."""
        return b"".join(self.stream(sha256))

    def fetch(self, sha256: str, target: Path) -> None:
        """Copy the bytes, verified, to the file `target`: all of them or none. Raises what `stream` and `put` raise."""
        with draft(target.parent) as file:
            pour(self.stream(sha256), file)
            publish(file, target)


def pour(source: Source, file: IO[bytes], known: Blob | None = None) -> Blob:
    """Write `source` to `file`, and hash it on the way unless it is known; errors of the source pass as they are."""

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
    """Raise `DigestMismatch` unless there are as many bytes as a blob is known to have."""
    if size != known.size:
        raise DigestMismatch(f"{size} bytes arrived; {known.size} with the sha256 {known.sha256} were announced.")


def digest_of(pieces: Iterable[bytes]) -> Blob:
    """Return what a blob of these bytes would be."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return Blob(digest.hexdigest(), size)


def verify(sha256: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield `pieces`, then raise `BlobCorrupt` if they were not the bytes of that hash."""
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
    """Raise `Invalid` unless this is a hash: what reaches a path or a key is never anything else."""
    if not is_sha256(text):
        raise Invalid(f"{text[:80]!r} is not a sha256.", hint="Give 64 hexadecimal digits in lower case.")


def hours_since(moment: float) -> float:
    """Return how long ago a moment was, given in seconds since 1970."""
    return max(0.0, time.time() - moment) / 3600


def check_upload_id(text: str) -> None:
    """Raise `Invalid` unless this is an id of ours: what reaches a path or a key is never anything else."""
    if not re.fullmatch("[a-z]{1,8}_[0-9a-z]{26}", text):
        raise Invalid(f"{text[:80]!r} is not an upload id.")


def check_joined(blob: Blob, sha256: str | None) -> None:
    """Raise `DigestMismatch` unless the whole has the hash that was announced, if one was."""
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
