"""A data set or a snapshot as one stream: a table, or a zip of class folders. Knows no HTTP.

Pictures are exported as the uploaded files, byte for byte; crops are only in the tables. A zip is made while it is
sent, so that no whole picture is in memory; only used names are remembered.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain, islice
from typing import IO, Any, Final, Literal, cast
from zipfile import ZipFile, ZipInfo

from api.serialize.csv_tables import csv_lines
from api.serialize.export_layout import HUGGING_FACE, ExportItem, Layout, class_folders, label_folders
from api.serialize.package_zip import Outbox
from api.services import Services
from db import registry
from db.curation import datasets
from db.models import Image
from db.paging import Window
from tsukiji.curation import snapshots
from tsukiji.kernel.storage import BlobStore
from tsukiji.kernel.storage.blobs import read_pieces
from tsukiji.labels import cell, is_set, label_members
from tsukiji.types import DatasetFormat, Kind, Split
from tsukiji.vision.decoding.formats import sniff

PAGE_ROWS: Final = 1000
MEDIA_TYPES: Final[dict[DatasetFormat, str]] = {
    "imagefolder": "application/zip",
    "huggingface": "application/zip",
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
}
SUFFIX: Final[dict[DatasetFormat, str]] = {
    "imagefolder": ".zip",
    "huggingface": ".zip",
    "csv": ".csv",
    "jsonl": ".jsonl",
}
BOX: Final = ("crop_left", "crop_upper", "crop_right", "crop_lower")
LABEL: Final[dict[Kind, Literal["label", "labels"]]] = {"single_label": "label", "multi_label": "labels"}
"""Name of the label column."""
TABLE: Final = "tsukiji.jsonl"
"""In a zip of class folders; other programs ignore it, while they might misread a `metadata.jsonl`."""
COLUMNS: Final = ("image_id", "name", "label", "split", "group", *BOX, "sha256")

Items = Iterable[ExportItem]


# --- contents --------------------------------------------------------------------------------------------------------


def items_of_dataset(services: Services, dataset_id: str) -> Iterator[ExportItem]:
    """Yield the images in use, page by page, to keep transactions short."""
    cursor: str | None = None
    while True:
        with services.database.reading() as session:
            rows = datasets.page_in_use(session, dataset_id, Window(PAGE_ROWS, cursor))
        yield from map(item_of, rows.data)
        cursor = rows.next_cursor
        if cursor is None:
            return


def item_of(image: Image) -> ExportItem:
    split = cast("Split | None", image.split or image.drawn_split)
    return ExportItem(image.id, image.sha256, image.name, image.label, split, image.group, image.crop)


def items_of_snapshot(services: Services, snapshot_id: str) -> list[ExportItem]:
    with services.database.reading() as session:
        sha256 = registry.find_snapshot(session, snapshot_id).sha256
    return [
        ExportItem(line.image_id, line.sha256, line.name, line.label, line.split, line.group, line.crop)
        for line in snapshots.loads(services.store.read(sha256))
    ]


def kind_of(items: Iterable[ExportItem]) -> Kind:
    """Return the kind of a snapshot's data set, which may have been deleted."""
    return "multi_label" if any(is_set(item.label) for item in items) else "single_label"


# --- formats ---------------------------------------------------------------------------------------------------------


def export(services: Services, items: Items, wanted: DatasetFormat, kind: Kind) -> Iterator[bytes]:
    """Yield the file in pieces. An aborted zip lacks its end, so that no reader takes it for complete.

    Tables of a `multi_label` data set have a column `labels` instead of `label`.
    """
    match wanted:
        case "csv":
            return csv_file(items, kind)
        case "jsonl":
            return json_lines(items, kind)
        case "huggingface":
            return hugging_face_zip(services, items, kind)
    return class_folder_zip(services, items, kind)


def csv_file(items: Items, kind: Kind) -> Iterator[bytes]:
    head = [LABEL[kind] if column == "label" else column for column in COLUMNS]
    return joined(line.encode() for line in csv_lines(chain([head], map(cells, items))))


def cells(item: ExportItem) -> tuple[Any, ...]:
    box = item.crop or (None,) * len(BOX)
    return (item.image_id, item.name, cell(item.label), item.split, item.group, *box, item.sha256)


def json_lines(items: Items, kind: Kind) -> Iterator[bytes]:
    return joined(dump(record_of(item, kind)) for item in items)


def record_of(item: ExportItem, kind: Kind) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in item._asdict().items():
        members |= label_of(item, kind) if name == "label" else {name: value}
    return members


def label_of(item: ExportItem, kind: Kind) -> dict[str, Any]:
    """Return the record's member with the label or labels."""
    return {LABEL[kind]: label_members(item.label)[LABEL[kind]]}


def dump(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def joined(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield many lines at a time: each sent piece costs a switch of threads."""
    while part := b"".join(islice(lines, PAGE_ROWS)):
        yield part


def class_folder_zip(services: Services, items: Items, kind: Kind) -> Iterator[bytes]:
    """Yield a zip of `[split/]label/file`, as read by torchvision's ImageFolder, and a table.

    The table has what folders cannot express, such as groups, crops and exact labels; our own import reads it. It is
    kept in a temporary file, because it can only be written after the pictures.
    """
    layout, outbox = Layout(), Outbox()
    with tempfile.TemporaryFile() as table, ZipFile(outbox, "w") as archive:
        for item in items:
            file_format, pieces = open_picture(services.store, item.sha256)
            path = layout.place(class_folders(item), item, file_format)
            yield from add_entry(archive, outbox, path, pieces)
            table.write(dump(metadata_of(item, path, kind)))
        yield from add_table(archive, outbox, TABLE, table)
    yield outbox.take()


def hugging_face_zip(services: Services, items: Items, kind: Kind) -> Iterator[bytes]:
    """Yield a zip of `train`, `validation` and `test`, each with its pictures and a `metadata.jsonl`.

    This is the layout of ImageFolder in the Hugging Face `datasets` library: `file_name` is relative to the metadata.
    Images without a split go to `train`. The lines are kept in temporary files, to be written after the pictures.
    """
    outbox, layouts = Outbox(), {folder: Layout() for folder in HUGGING_FACE.values()}
    with ExitStack() as opened, ZipFile(outbox, "w") as archive:
        metadata = {folder: opened.enter_context(tempfile.TemporaryFile()) for folder in layouts}
        for item in items:
            folder = HUGGING_FACE[item.split]
            file_format, pieces = open_picture(services.store, item.sha256)
            path = layouts[folder].place(label_folders(item), item, file_format)
            yield from add_entry(archive, outbox, f"{folder}/{path}", pieces)
            metadata[folder].write(dump(metadata_of(item, path, kind)))
        for folder, lines in metadata.items():
            yield from add_table(archive, outbox, f"{folder}/metadata.jsonl", lines)
    yield outbox.take()


def metadata_of(item: ExportItem, file_name: str, kind: Kind) -> dict[str, Any]:
    known = {"file_name": file_name, **label_of(item, kind), "split": item.split, "group": item.group}
    return known | {"crop": item.crop, "image_id": item.image_id, "sha256": item.sha256}


# --- zips ------------------------------------------------------------------------------------------------------------


def open_picture(store: BlobStore, sha256: str) -> tuple[str, Iterator[bytes]]:
    """Return the format of a stored picture, as Pillow names it, and its pieces."""
    pieces = store.stream(sha256)
    first = next(pieces, b"")
    return sniff(first).format or "", chain([first], pieces)


def add_entry(archive: ZipFile, outbox: Outbox, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Add a file uncompressed: pictures are compressed already."""
    info = ZipInfo(name)
    info.external_attr = 0o644 << 16
    with archive.open(info, "w") as entry:
        for piece in pieces:
            entry.write(piece)
            yield outbox.take()


def add_table(archive: ZipFile, outbox: Outbox, name: str, table: IO[bytes]) -> Iterator[bytes]:
    """Add a table from its beginning, unless it is empty."""
    if table.tell():
        table.seek(0)
        yield from add_entry(archive, outbox, name, read_pieces(table))
