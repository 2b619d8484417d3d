"""Teachable Machine: a project (`.tm`, a zip) and the samples of one class (`NAME-samples.zip`).

A project holds `manifest.json` and its samples as `CLASS-!-NUMBER.jpg`. The format is undocumented; this is what the
site's "Download project as file" and "Download Samples" produce, version 2.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from tsukiji.errors import TableInvalid
from tsukiji.ingest.importers.items import Item, words

MARK: Final = "-!-"
SAMPLES: Final = re.compile(r"(.+?)[-_ ]samples(?: ?\(\d+\))?\.zip", re.IGNORECASE)


def is_one(document: Any) -> bool:
    return isinstance(document, dict) and "appdata" in document and "type" in document


def read(document: Any, names: Iterable[str]) -> Iterator[Item]:
    """Yield an item for each sample among these files.

    Raises:
        TableInvalid: it is a project of sounds or poses.
    """
    if document["type"] != "image":
        raise TableInvalid(f"This is a project of the kind {document['type']!r}, not of images.")
    samples = sorted(name for name in names if MARK in PurePosixPath(name).name)
    for number, name in enumerate(samples, 1):
        label, _, _ = PurePosixPath(name).name.rpartition(MARK)
        yield Item(line=number, file=name, labels=words(label))


def sampled_label(archive: str | None) -> str | None:
    """Return the class in the name of an archive of samples."""
    found = SAMPLES.fullmatch(archive or "")
    return found[1] if found else None
