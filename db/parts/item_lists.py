"""Lists of items: what a manifest says of pictures, resolved, and numbered as in the batch.

`image` says where a picture is: `sha256:...` in the store, or a URL of an allowed source; without one its bytes are in
the list itself (`content`), as are those of archives.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from db.items import Item
from db.models import Chunk
from db.parts.files import box_text, encoded, json_text, labels_columns, labels_text, opened, text_box, text_json
from tsukiji.kernel.storage import BlobStore

GROUP_ITEMS: Final = 512
"""Rows to read at once, of lists with pictures in them."""
SCHEMA: Final = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("custom_id", pa.string(), nullable=False),
        pa.field("image", pa.string()),
        pa.field("bytes", pa.int64()),
        pa.field("crop", pa.string()),
        pa.field("true_label", pa.string()),
        pa.field("true_labels", pa.list_(pa.string())),
        pa.field("error", pa.string()),
        pa.field("place", pa.string()),
        pa.field("content", pa.large_binary()),
    ]
)
FACTS: Final = [name for name in SCHEMA.names if name != "content"]
STORED: Final = "sha256:"


@dataclass(frozen=True)
class ListedItem:
    """An item, and where its picture is.

    Attributes:
        image, content: see above.
        size: in bytes; 0 if unknown.
        place: its name within the source; None for other inputs.
    """

    item: Item
    image: str | None
    size: int
    place: str | None
    content: bytes | None = None


def encode(items: Sequence[dict[str, Any]], first_seq: int) -> bytes:
    """Return the list of items: members as in `SCHEMA`, missing ones null; `true_label` and `crop` as in rows."""
    alone, several = labels_columns([item.get("true_label") for item in items])
    columns: dict[str, Any] = {name: [item.get(name) for item in items] for name in SCHEMA.names}
    columns |= {"seq": range(first_seq, first_seq + len(items)), "true_label": alone, "true_labels": several}
    columns["crop"] = [box_text(item.get("crop")) for item in items]
    columns["error"] = [json_text(item.get("error")) for item in items]
    return encoded(pa.table(columns, schema=SCHEMA), GROUP_ITEMS)


def items_of(store: BlobStore, chunk: Chunk, *, content: bool = False, seq: int | None = None) -> Iterator[ListedItem]:
    """Yield the items of a chunk in their order, or only one; with `content` also pictures in the list."""
    first, last = (chunk.first_seq, chunk.last_seq) if seq is None else (seq, seq)
    within = (pc.field("seq") >= first) & (pc.field("seq") <= last)
    with opened(store, chunk.items_sha256 or "") as file:
        for number in range(file.num_row_groups):
            seqs = file.metadata.row_group(number).column(0).statistics
            if seqs.min <= last and seqs.max >= first:
                group = file.read_row_group(number, SCHEMA.names if content else FACTS)
                yield from map(listed, group.filter(within).to_pylist())


def listed(row: dict[str, Any]) -> ListedItem:
    image = row["image"]
    item = Item(
        seq=row["seq"],
        custom_id=row["custom_id"],
        sha256=image.removeprefix(STORED) if image and image.startswith(STORED) else None,
        crop=text_box(row["crop"]),
        true_label=labels_text(row["true_label"], row["true_labels"]),
        error=text_json(row["error"]),
    )
    return ListedItem(item, image, row["bytes"] or 0, row["place"], row.get("content"))
