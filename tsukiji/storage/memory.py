"""Blobs in this process's memory: a double for tests, gone when the process ends."""

import io
from collections.abc import Iterator

from tsukiji.storage.blobs import CHUNK_BYTES, Blob, BlobStore, Source, check_sha256, missing, pour, read_pieces, verify


class MemoryStore(BlobStore):
    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def put(self, source: Source) -> Blob:
        buffer = io.BytesIO()
        blob = pour(source, buffer)
        self.blobs[blob.sha256] = buffer.getvalue()
        return blob

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

    def check(self) -> None:
        """Memory is always there."""
