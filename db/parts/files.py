"""Parquet files in the store, read in place where it has a file of its own."""

import io
import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from db.boxes import read_box, write_box
from db.models import Chunk
from tsukiji.ingest.outputs import Outputs
from tsukiji.kernel.storage import BlobStore
from tsukiji.kernel.storage.blobs import verify
from tsukiji.labels import is_set, join_labels, split_labels
from tsukiji.types import Box

CODEC = "zstd"


def opened(store: BlobStore, sha256: str) -> parquet.ParquetFile:
    """Open a file of the store.

    Raises:
        BlobMissing, BlobCorrupt
    """
    path = store.local_path(sha256)
    return parquet.ParquetFile(path or io.BytesIO(store.read(sha256)), memory_map=path is not None)


@dataclass(frozen=True)
class PartStore:
    """Where lists and parts are: lists in the store, parts there or at a destination of the batch's own."""

    blobs: BlobStore
    outputs: Outputs

    def opened(self, chunk: Chunk) -> parquet.ParquetFile:
        """Open the part of a chunk.

        Raises:
            BlobMissing, BlobCorrupt, OutputNotAllowed
        """
        url = (chunk.part or {}).get("url")
        if url is None:
            return opened(self.blobs, chunk.part_sha256 or "")
        return parquet.ParquetFile(io.BytesIO(self.read(chunk)))

    def read(self, chunk: Chunk) -> bytes:
        """Return a part's bytes, verified. Raises what `opened` raises."""
        part = chunk.part or {}
        if part.get("url") is None:
            return self.blobs.read(chunk.part_sha256 or "")
        folder, _, name = part["url"].rpartition("/")
        return b"".join(verify(part["sha256"], [self.outputs.open(folder).read(name)]))


def part_name(chunk: Chunk) -> str:
    """Return the name of a chunk's part: no other attempt gives the same."""
    return f"part-{chunk.first_seq:010}-{'errors' if chunk.error else chunk.attempt}.parquet"


def labels_columns(texts: list[str | None]) -> tuple[list[str | None], list[list[str] | None]]:
    """Return stored labels as two columns: single ones, and sets."""
    alone = [None if text is None or is_set(text) else text for text in texts]
    return alone, [split_labels(text) if text is not None and is_set(text) else None for text in texts]


def labels_text(alone: str | None, several: list[str] | None) -> str | None:
    """Return the stored form of a label, or of a set."""
    return alone if several is None else join_labels(several)


def box_text(box: Box | None) -> str | None:
    return None if box is None else write_box(box)


def text_box(text: str | None) -> Box | None:
    return None if text is None else read_box(text)


def json_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def text_json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def encoded(table: pa.Table, group_rows: int) -> bytes:
    """Return a table as a file with row groups of this size."""
    sink = io.BytesIO()
    parquet.write_table(table, sink, compression=CODEC, row_group_size=group_rows)
    return sink.getvalue()
