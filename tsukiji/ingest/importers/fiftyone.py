"""FiftyOne: `labels.json` of its `FiftyOneImageClassificationDataset`, whose pictures lie in `data`.

FiftyOne, "Exporting datasets", section "FiftyOneImageClassificationDataset".
"""

from collections.abc import Iterator
from typing import Any

from tsukiji.ingest.importers.items import Item, place, refused, words


def is_one(document: Any) -> bool:
    """Return whether this is an object of `classes`, a list or null, and `labels` by picture name."""
    return (
        isinstance(document, dict)
        and isinstance(document.get("labels"), dict)
        and isinstance(document.get("classes", 0), list | None)
    )


def read(document: Any) -> Iterator[Item]:
    """Yield an item for each picture, which is named without its suffix. Its labels: one, or a list."""
    classes = document["classes"] or []
    for number, (name, found) in enumerate(document["labels"].items(), 1):
        file, url = place(name)
        try:
            labels = [_label(one, classes) for one in (found if isinstance(found, list) else [found])]
            yield Item(number, file=file, url=url, labels=words(labels), is_none=found == [])
        except ValueError as error:
            yield refused(number, str(error))


def _label(found: Any, classes: list[Any]) -> Any:
    """Return the label that is written as an index into `classes`, as text, or as an object with its confidence."""
    label = found.get("label") if isinstance(found, dict) else found
    if not isinstance(label, int) or isinstance(label, bool) or not classes:
        return label
    if not 0 <= label < len(classes):
        raise ValueError(f"there is no class {label}, only {len(classes)}")
    return classes[label]
