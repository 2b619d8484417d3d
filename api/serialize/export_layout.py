"""Paths of pictures in an exported folder: valid in every file system, and understood by our own import.

Knows no store and no rows.
"""

import unicodedata
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from tsukiji.labels import label_folder
from tsukiji.names import path_safe
from tsukiji.types import Box, Split

SUFFIXES: Final = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
}
"""Suffixes by Pillow's format name; the first is added to names without any of them."""
KNOWN: Final = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
HUGGING_FACE: Final[dict[Split | None, str]] = {
    "train": "train",
    "valid": "validation",
    "test": "test",
    None: "train",
}


class ExportItem(NamedTuple):
    """One image, as passed to every format."""

    image_id: str
    sha256: str
    name: str
    label: str | None
    """One label, or a set as `tsukiji.labels.join_labels` writes it."""
    split: Split | None
    group: str | None
    crop: Box | None


class Layout:
    """Assigns unique paths, also for case-insensitive file systems."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def place(self, folders: list[str], item: ExportItem, file_format: str) -> str:
        """Return the path; a repeated name gets a part of the picture's hash."""
        name = file_name(item, file_format)
        path = "/".join([*folders, name])
        if path.casefold() in self._given:
            stem, dot, suffix = name.rpartition(".")
            path = "/".join([*folders, f"{stem}-{item.sha256[:12]}{dot}{suffix}"])
        self._given.add(path.casefold())
        return path


def class_folders(item: ExportItem) -> list[str]:
    """Return the folders of `imagefolder`: split, if there is one, and label; none for an unlabelled image."""
    if item.label is None:
        return []
    return [*([item.split] if item.split else []), label_folder(item.label)]


def label_folders(item: ExportItem) -> list[str]:
    """Return the folder below the split's."""
    return [] if item.label is None else [label_folder(item.label)]


def file_name(item: ExportItem, file_format: str) -> str:
    """Return the last part of the name that was sent, with a suffix that fits."""
    last = PurePosixPath(unicodedata.normalize("NFC", item.name).replace("\\", "/")).name
    name = path_safe(last) if last else item.image_id
    has_suffix = PurePosixPath(name).suffix.lower() in KNOWN
    return name if has_suffix else name + SUFFIXES[file_format][0]
