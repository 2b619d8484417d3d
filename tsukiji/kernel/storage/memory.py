"""Blobs in this process's memory, for tests."""

import io
import time
from collections.abc import Iterator, Sequence
from typing import IO

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
    missing,
    part_missing,
    pour,
    read_pieces,
    verify,
)


class MemoryStore(BlobStore):
    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.put_at: dict[str, float] = {}
        self.parts: dict[str, dict[int, bytes]] = {}

    def put(self, source: Source, known: Blob | None = None) -> Blob:
        buffer = io.BytesIO()
        return self._keep(pour(source, buffer, known), buffer)

    def stream(self, sha256: str, chunk: int = CHUNK_BYTES) -> Iterator[bytes]:
        check_sha256(sha256)
        if sha256 not in self.blobs:
            raise missing(sha256)
        yield from verify(sha256, read_pieces(io.BytesIO(self.blobs[sha256]), chunk))

    def exists(self, sha256: str) -> bool:
        check_sha256(sha256)
        return sha256 in self.blobs

    def delete(self, sha256: str) -> None:
        check_sha256(sha256)
        self.blobs.pop(sha256, None)

    def discard(self, sha256: str, hours: float) -> bool:
        check_sha256(sha256)
        if sha256 in self.blobs and hours_since(self.put_at.get(sha256, 0)) < hours:
            return False
        self.delete(sha256)
        return True

    def walk(self) -> Iterator[Stored]:
        for sha256, data in sorted(self.blobs.items()):
            yield Stored(sha256, len(data), hours_since(self.put_at.get(sha256, 0)))

    def check(self) -> None:
        """Always available."""

    def begin(self, upload_id: str) -> Incoming:
        check_upload_id(upload_id)
        return Incoming(upload_id, "")

    def put_part(self, incoming: Incoming, number: int, file: IO[bytes]) -> str:
        file.seek(0)
        self.parts.setdefault(incoming.id, {})[number] = file.read()
        return ""

    def join(self, incoming: Incoming, tags: Sequence[str], sha256: str | None) -> Blob:
        parts = self.parts.get(incoming.id, {})
        if not parts.keys() >= set(range(1, len(tags) + 1)):
            raise part_missing(incoming)
        buffer = io.BytesIO()
        blob = pour((parts[number] for number in range(1, len(tags) + 1)), buffer)
        check_joined(blob, sha256)
        return self._keep(blob, buffer)

    def drop(self, incoming: Incoming) -> None:
        check_upload_id(incoming.id)
        self.parts.pop(incoming.id, None)

    def _keep(self, blob: Blob, buffer: io.BytesIO) -> Blob:
        self.blobs[blob.sha256] = buffer.getvalue()
        self.put_at[blob.sha256] = time.time()
        return blob
