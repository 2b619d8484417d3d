"""A batch's results as one stream: JSON lines, CSV or Parquet, read page by page to keep transactions short."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from api.serialize.csv_tables import csv_lines
from api.serialize.predictions import Reader
from api.serialize.result_filters import Selection
from api.services import Services
from db import stored_results
from db.jobs import batches, jobs
from db.models import Job
from db.paging import Window
from db.predictions import results
from db.predictions.results import ResultRow
from tsukiji.jobs import TERMINAL

PAGE_ROWS = 1000
PART_ROWS = 10_000
"""Each page opens its parts again."""


@dataclass(frozen=True)
class Results:
    """The selected results of a batch so far, without waiting images."""

    services: Services
    job: Job
    selection: Selection
    complete: bool = False
    """Include the probability of every label."""

    @property
    def reader(self) -> Reader:
        return Reader(self.job, self.selection.thresholds)

    def pages(self) -> Iterator[tuple[Reader, list[ResultRow]]]:
        """Yield rows with their reader: the batch may end meanwhile.

        Raises:
            ResultsDeleted: also meanwhile, so that a part is never taken for the whole.
        """
        cursor: str | None = None
        while True:
            with self.services.database.reading() as session:
                job = jobs.find(session, self.job.id)
                results.check_kept(job)
                wanted = self.selection.wanted(job, reached=job.status not in TERMINAL)
                if wanted is None:
                    return
                window = Window(PART_ROWS if batches.has_parts(job) else PAGE_ROWS, cursor)
                rows, cursor = stored_results.page(session, self.services.files, job, window, wanted)
            yield Reader(job, self.selection.thresholds), rows
            if cursor is None:
                return

    def json_lines(self) -> Iterator[bytes]:
        for reader, rows in self.pages():
            lines = (reader.prediction(row, complete=self.complete).model_dump_json() for row in rows)
            yield "".join(f"{line}\n" for line in lines).encode()

    def csv(self) -> Iterator[bytes]:
        head = [*self.reader.columns, *(self.reader.probability_columns if self.complete else [])]
        yield "".join(csv_lines([head])).encode()
        for reader, rows in self.pages():
            yield "".join(csv_lines(self.csv_row(reader, row) for row in rows)).encode()

    def csv_row(self, reader: Reader, row: ResultRow) -> list[object]:
        values = reader.probabilities(row)
        return reader.cells(row, values) + (values.tolist() if self.complete else [])

    def rows(self) -> Iterator[tuple[Reader, ResultRow]]:
        return itertools.chain.from_iterable(((reader, row) for row in rows) for reader, rows in self.pages())
