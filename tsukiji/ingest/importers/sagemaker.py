"""Amazon Rekognition Custom Labels and SageMaker Ground Truth: manifests of labelled images.

SageMaker AI, "Labeling job output data", sections on image classification, single- and multi-label;
Rekognition Custom Labels, "Importing image-level labels in manifest files".
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from tsukiji.ingest.importers.items import Item, place, refused, words

METADATA: Final = "-metadata"


def is_record(record: dict[str, Any]) -> bool:
    return "source-ref" in record


def read(records: Iterable[tuple[int, dict[str, Any] | ValueError]]) -> Iterator[Item]:
    """Yield an item for each line. Only the manifest's own name can give the split."""
    for line, record in records:
        if isinstance(record, ValueError):
            yield refused(line, str(record))
        elif not isinstance(record.get("source-ref"), str):
            yield refused(line, "`source-ref` is missing")
        else:
            file, url = place(record["source-ref"])
            try:
                yield Item(line=line, file=file, url=url, labels=words(list(_labels(record))))
            except ValueError as error:
                yield refused(line, str(error))


def _labels(record: dict[str, Any]) -> Iterator[Any]:
    """Yield the name of each class, for both single- and multi-label jobs."""
    for member, facts in record.items():
        if not (member.endswith(METADATA) and isinstance(facts, dict)):
            continue
        yield facts.get("class-name")
        several = facts.get("class-map")
        if isinstance(several, dict):
            yield from several.values()
