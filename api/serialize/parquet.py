"""A batch's results as a Parquet file, made and sent one row group after another, so that memory stays flat."""

import io
import itertools
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from api.serialize.predictions import Reader
from api.serialize.results import Results
from db.predictions.results import ResultRow

GROUP_ROWS: Final = 10_000
TYPES: Final = {str: pa.string(), float: pa.float64(), int: pa.int32()}


def parquet_file(results: Results) -> Iterator[bytes]:
    """Yield the file; what breaks it off leaves it without its end, and no library opens that."""
    reader, sink = results.reader, Sink()
    fields = [pa.field(name, TYPES[kind]) for name, kind in reader.columns.items()]
    if results.complete:
        fields += [pa.field(name, pa.float32()) for name in reader.probability_columns]
    schema = pa.schema(fields)
    rows = results.rows()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        while part := list(itertools.islice(rows, GROUP_ROWS)):
            writer.write_table(pa.table(arrays(part, schema, complete=results.complete), schema=schema))
            yield sink.take()
    yield sink.take()


def arrays(part: list[tuple[Reader, ResultRow]], schema: pa.Schema, *, complete: bool) -> list[pa.Array]:
    """Return a row group's columns."""
    values = [reader.probabilities(row) for reader, row in part]
    cells = zip(*(reader.cells(row, own) for (reader, row), own in zip(part, values, strict=True)), strict=True)
    found = [pa.array(column, field.type) for column, field in zip(cells, schema, strict=False)]
    if complete:
        labels = len(schema) - len(found)
        known = np.array([own.size > 0 for own in values])
        matrix = np.zeros((len(part), labels), np.float32)
        matrix[known] = [own for own in values if own.size]
        found += [pa.array(column, mask=~known) for column in matrix.T]
    return found


class Sink(io.RawIOBase):
    """Takes what the writer has ready, until it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        self._written += len(self._pieces[-1])
        return len(self._pieces[-1])

    def tell(self) -> int:
        return self._written

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
