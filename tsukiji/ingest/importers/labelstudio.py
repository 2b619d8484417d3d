"""Label Studio: the JSON of a project, a list of tasks with their annotations.

Label Studio, "Export annotations", section "Label Studio JSON format of annotated tasks". Its JSON-MIN and CSV are
tables, see `columns` and `multilabel`.
"""

from collections.abc import Iterator
from typing import Any

from tsukiji.ingest.importers.columns import find_columns
from tsukiji.ingest.importers.items import Item, place, refused, words
from tsukiji.types import ImportOptions

CHOICES = "choices"


def is_one(document: Any) -> bool:
    first = document[0] if isinstance(document, list) and document else None
    return isinstance(first, dict) and isinstance(first.get("data"), dict) and _annotations(first) is not None


def read(document: list[Any]) -> Iterator[Item]:
    """Yield an item for each task: its choice is its label; without one, the labels of its boxes and regions."""
    for number, task in enumerate(document, 1):
        try:
            file, url = place(_picture(task))
            yield Item(number, file=file, url=url, labels=_labels(_annotations(task) or []))
        except ValueError as error:
            yield refused(number, str(error))


def _annotations(task: dict[str, Any]) -> list[Any] | None:
    found = task.get("annotations", task.get("completions"))
    return found if isinstance(found, list) else None


def _picture(task: Any) -> str:
    """Return where the picture of a task is: in the usual members, or the first text with a slash in it."""
    data = task.get("data") if isinstance(task, dict) else None
    if not isinstance(data, dict):
        raise ValueError("the task has no `data`")  # noqa: TRY004 - the value is a user's
    columns = find_columns(data, ImportOptions())
    usual = [data[columns[column]] for column in ("file", "url") if column in columns]
    for value in [*usual, *data.values()]:
        if isinstance(value, str) and (value in usual or "/" in value):
            return value
    raise ValueError("the task's `data` names no picture")


def _labels(annotations: list[Any]) -> tuple[str, ...]:
    """Return the labels on which all annotations of a task agree; only those of the ground truth, if there is one.

    Raises:
        ValueError: they do not agree.
    """
    good = [one for one in annotations if isinstance(one, dict) and not one.get("was_cancelled")]
    good = [one for one in good if one.get("ground_truth")] or good
    found = dict.fromkeys(tuple(sorted(words([*_told(one.get("result") or [])]))) for one in good)
    if len(found) > 1:
        told = "; ".join(", ".join(labels) or "none" for labels in found)
        raise ValueError(f"its {len(good)} annotations do not agree: {told[:200]}")
    return next(iter(found), ())


def _told(results: list[Any]) -> Iterator[Any]:
    """Yield the labels of one annotation. A result has them in its value, under the name of its type."""
    results = [result for result in results if isinstance(result, dict)]
    chosen = [result for result in results if result.get("type") == CHOICES]
    for result in chosen or results:
        value = result.get("value")
        listed = value.get(result.get("type")) if isinstance(value, dict) else None
        for label in listed if isinstance(listed, list) else []:
            yield label[-1] if isinstance(label, list) and label else label  # a taxonomy lists the path to a kind
