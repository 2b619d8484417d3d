"""Parts: the results of a chunk as a table, one row for each item, in order.

Made for other programs as much as for this one: plain columns, no codes of ours. `probabilities` are in the order of
the batch's `label_names`, rounded as those of rows are.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from db import probabilities
from db.items import Item
from db.parts.files import box_text, json_text, labels_columns, labels_text, text_json
from db.predictions.decisions import BELOW_THRESHOLD, NONE_OF_THESE, Rule
from db.predictions.results import ResultRow
from tsukiji.labels import join_labels, split_labels

GROUP_ROWS: Final = 1024
SCHEMA: Final = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("custom_id", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("decision", pa.string()),
        pa.field("label", pa.string()),
        pa.field("score", pa.float64()),
        pa.field("known_score", pa.float64()),
        pa.field("abstain_reason", pa.string()),
        pa.field("labels", pa.list_(pa.string())),
        pa.field("true_label", pa.string()),
        pa.field("true_labels", pa.list_(pa.string())),
        pa.field("error", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("sha256", pa.string()),
        pa.field("image", pa.string()),
        pa.field("crop", pa.string()),
        pa.field("tags", pa.string()),
        pa.field("heatmap", pa.string()),
        pa.field("problem", pa.string()),
        pa.field("probabilities", pa.list_(pa.float32())),
    ]
)
KEYS: Final = ["seq", "label", "score", "known_score", "labels", "true_label", "true_labels", "error"]
"""What filters and orders look at."""
Row = Mapping[str, Any]
Flags = npt.NDArray[np.bool_]


def table_of(items: Sequence[Item], images: Sequence[str | None], found: Sequence[Row], rule: Rule) -> pa.Table:
    """Return a table of items, where their pictures are, and their predictions as `db.prediction_rows` takes them."""
    sets = [None if row["labels"] is None else split_labels(row["labels"]) for row in found]
    reasons = [
        None if row["label"] is None else rule.refusal(row["score"], row["known_score"], row["labels"]) for row in found
    ]
    alone, several = labels_columns([item.true_label for item in items])
    plain = ("label", "score", "known_score", "width", "height")
    columns: dict[str, Any] = {name: [row[name] for row in found] for name in plain} | {
        "seq": [item.seq for item in items],
        "custom_id": [item.custom_id for item in items],
        "sha256": [item.sha256 for item in items],
        "crop": [box_text(item.crop) for item in items],
        "image": images,
        "status": ["succeeded" if row["error"] is None else "errored" for row in found],
        "decision": [
            None if reason or rule.several else row["label"] for row, reason in zip(found, reasons, strict=True)
        ],
        "abstain_reason": reasons,
        "labels": sets,
        "true_label": alone,
        "true_labels": several,
        "tags": [json_text(row["tags"]) for row in found],
        "heatmap": [json_text(row["heatmap"]) for row in found],
        "error": [row["error"] and row["error"]["code"] for row in found],
        "problem": [json_text(row["error"]) for row in found],
        "probabilities": chances_column([row["probabilities"] for row in found]),
    }
    return pa.table(columns, schema=SCHEMA)


def chances_column(found: Sequence[bytes | None]) -> pa.Array:
    """Return probabilities, which are float32 of equally many labels, with the precision of rows."""
    missing = np.array([data is None for data in found], np.bool_)
    good = [data for data in found if data is not None]
    labels = len(good[0]) // 4 if good else 0
    values = probabilities.rounded(np.frombuffer(b"".join(good), "<f4"), labels)
    offsets = np.concatenate([[0], np.cumsum(~missing)]) * labels
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, mask=pa.array(missing))


def counted(table: pa.Table, rule: Rule) -> tuple[list[tuple[str, str | None, int]], dict[str, int]]:
    """Return the groups of a part, and its errors, counted as `db.jobs.batches.Part` holds them."""
    errors = Counter(code for code in table["error"].to_pylist() if code is not None)
    groups = Counter(zip(group_names(table, rule), refusals(table, rule), strict=True))
    del groups[None, None]  # those without a label
    return [(name or "", reason, images) for (name, reason), images in groups.items()], dict(errors)


def group_names(table: pa.Table, rule: Rule) -> list[str | None]:
    """Return the label of each row, or its set as text; None without one."""
    if not rule.several:
        names: list[str | None] = table["label"].to_pylist()
        return names
    return [None if labels is None else join_labels(labels) for labels in table["labels"].to_pylist()]


def refusals(table: pa.Table, rule: Rule) -> list[str | None]:
    """Return why each row has no decision; None if it has one, or no label."""
    score, known = numbers(table, "score"), numbers(table, "known_score")
    low = score < rule.threshold
    if rule.several:
        low = np.array([labels == [] for labels in table["labels"].to_pylist()], np.bool_)
    found = np.where(known < rule.min_known, NONE_OF_THESE, np.where(low, BELOW_THRESHOLD, None))  # type: ignore[call-overload]
    return [None if missing else reason for reason, missing in zip(found, np.isnan(score), strict=True)]


def numbers(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """Return a column; NaN for null, so that every comparison with it is false."""
    return np.asarray(table[name].to_numpy(), np.float64)


def has_true_label(table: pa.Table, label: str) -> Flags:
    alone, several = table["true_label"].to_pylist(), table["true_labels"].to_pylist()
    return np.array([one == label or label in (some or []) for one, some in zip(alone, several, strict=True)], np.bool_)


def result_row(row: Row) -> ResultRow:
    """Return a row as the database would, probabilities in float32."""
    known = ("seq", "custom_id", "sha256", "label", "score", "known_score", "width", "height")
    values: dict[str, Any] = {name: row[name] for name in known}
    values |= {name: text_json(row[name]) for name in ("tags", "heatmap")}
    chances = row["probabilities"]
    return ResultRow(
        **values,
        true_label=labels_text(row["true_label"], row["true_labels"]),
        reached=row["seq"],
        probabilities=None if chances is None else np.asarray(chances, "<f4").tobytes(),
        labels=None if row["labels"] is None else join_labels(row["labels"]),
        error=text_json(row["problem"]),
    )


def unreached_row(item: Item) -> ResultRow:
    """Return the row of an item that has no result yet."""
    values: dict[str, Any] = dict.fromkeys(ResultRow._fields)
    values |= {"seq": item.seq, "custom_id": item.custom_id, "sha256": item.sha256, "true_label": item.true_label}
    return ResultRow(**values)
