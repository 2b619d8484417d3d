"""Vertex AI (AutoML): CSV and JSON lines of a data set of images, for import there and as exported.

Vertex AI, "Prepare image training data for classification", and `image_classification_*_io_format_1.0.0.yaml`.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from tsukiji.ingest.importers.items import Item, place, refused, split_of, words

BUCKET: Final = "gs://"
ML_USE: Final = "aiplatform.googleapis.com/ml_use"
ANNOTATIONS: Final = ("classificationAnnotation", "classificationAnnotations")


def is_row(row: list[str]) -> bool:
    """Return whether this is a row of a file without a header: `[ml_use,]gs://bucket/file[,label...]`."""
    return any(cell.strip().startswith(BUCKET) for cell in row[:2])


def is_record(record: dict[str, Any]) -> bool:
    return "imageGcsUri" in record


def read_csv(rows: Iterable[tuple[int, list[str] | ValueError]]) -> Iterator[Item]:
    for line, row in rows:
        if isinstance(row, ValueError):
            yield refused(line, str(row))
        elif not is_row(row):
            yield refused(line, "its first or second cell should be an address that begins with gs://")
        else:
            at = 0 if row[0].strip().startswith(BUCKET) else 1
            yield _item(line, row[at].strip(), row[at + 1 :], row[0] if at else "")


def read_records(records: Iterable[tuple[int, dict[str, Any] | ValueError]]) -> Iterator[Item]:
    for line, record in records:
        if isinstance(record, ValueError):
            yield refused(line, str(record))
        elif not isinstance(record.get("imageGcsUri"), str):
            yield refused(line, "`imageGcsUri` is missing")
        else:
            resource = record.get("dataItemResourceLabels")
            use = resource.get(ML_USE, "") if isinstance(resource, dict) else ""
            yield _item(line, record["imageGcsUri"], list(_labels(record)), str(use))


def _item(line: int, uri: str, labels: list[Any], use: str) -> Item:
    file, url = place(uri)
    try:
        return Item(line=line, file=file, url=url, labels=words(labels), split=split_of(use))
    except ValueError as error:
        return refused(line, str(error))


def _labels(record: dict[str, Any]) -> Iterator[Any]:
    for member in ANNOTATIONS:
        found = record.get(member) or []
        for annotation in found if isinstance(found, list) else [found]:
            yield annotation.get("displayName") if isinstance(annotation, dict) else annotation
