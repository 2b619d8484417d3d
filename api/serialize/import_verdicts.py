"""Verdicts of an import as one stream: JSON lines or CSV, read page by page."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from api.serialize import records
from api.serialize.csv_tables import csv_lines
from api.services import Services
from db.curation import import_verdicts
from db.models import ImportItem
from db.paging import Window
from tsukiji.labels import cell

PAGE_ROWS: Final = 1000
JSON_LINES: Final = "application/jsonl"
CSV: Final = "text/csv"
COLUMNS: Final = ("name", "verdict", "label", "image_id", "error", "line", "detail", "hint")


@dataclass(frozen=True)
class Verdicts:
    services: Services
    job_id: str
    verdict: str | None = None
    error: str | None = None

    def pages(self) -> Iterator[list[ImportItem]]:
        cursor: str | None = None
        while True:
            with self.services.database.reading() as session:
                window = Window(PAGE_ROWS, cursor)
                rows = import_verdicts.page_verdicts(session, self.job_id, window, self.verdict, self.error)
            yield rows.data
            cursor = rows.next_cursor
            if cursor is None:
                return

    def json_lines(self) -> Iterator[bytes]:
        for rows in self.pages():
            yield "".join(f"{records.verdict(row).model_dump_json()}\n" for row in rows).encode()

    def csv(self) -> Iterator[bytes]:
        yield "".join(csv_lines([COLUMNS])).encode()
        for rows in self.pages():
            yield "".join(csv_lines(cells(row) for row in rows)).encode()


def cells(row: ImportItem) -> list[object]:
    error = row.error or {}
    told = [error.get(name) for name in ("code", "line", "detail", "hint")]
    return [row.name, row.verdict, cell(row.label), row.image_id, *told]
