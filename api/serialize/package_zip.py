"""A model's files as one zip, made while it is sent. Knows rows and blobs, no HTTP."""

import io
from collections.abc import Iterator, Sequence
from zipfile import ZipFile, ZipInfo

from db.models import ModelFile
from tsukiji.kernel.storage import BlobStore


class Outbox(io.RawIOBase):
    """A file that can only be written to: what was written is taken out and sent."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # zipfile writes bytes, io allows any buffer
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def zip_package(store: BlobStore, files: Sequence[ModelFile]) -> Iterator[bytes]:
    """Yield a zip of the files, stored (weights do not shrink), the same bytes each time."""
    outbox = Outbox()
    with ZipFile(outbox, "w") as archive:
        for file in files:
            info = ZipInfo(file.name)
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=file.bytes >= 2**31) as entry:
                for piece in store.stream(file.sha256):
                    entry.write(piece)
                    yield outbox.take()
    yield outbox.take()
