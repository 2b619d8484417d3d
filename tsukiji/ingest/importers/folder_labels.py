"""Where a table tells labels of some pictures and class folders of others: whether the folders are heard."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tsukiji.ingest.importers.files import SUFFIX
from tsukiji.ingest.importers.items import Note
from tsukiji.labels import folder_labels
from tsukiji.names import from_path
from tsukiji.types import Kind


@dataclass(frozen=True, slots=True)
class Hearing:
    """Do folders tell the labels of what no table names? And what is to be said of it."""

    folders: bool = False
    note: Note | None = None


def hear(
    told: Mapping[str, Sequence[str]],
    left: Collection[str],
    kind: Kind,
    folder_label: Callable[[str], str | None],
) -> Hearing:
    """Return whether folders are heard beside tables: where both speak of a picture, they must say the same.

    Else a file that no table names has no label, which is told if there are class folders.

    Args:
        told: the labels of files as tables tell them, of those that have some.
        left: the files that no table names.
        kind: of the data set.
        folder_label: gives the label that its folder gives a file.
    """
    unheard = {name: label for name in left if may_be_picture(name) and (label := folder_label(name))}
    beside = {name: label for name in told if (label := folder_label(name))}
    if not told or not unheard:
        return Hearing()
    if beside and all(set(told[name]) == listed(label, kind) for name, label in beside.items()):
        return Hearing(folders=True)
    classes = {*unheard.values(), *beside.values()}
    if len(classes) < 2:
        return Hearing()
    shown = ", ".join(map(repr, sorted(classes)[:5]))
    detail = (
        f"{len(unheard):,} pictures in class folders ({shown}) are in no table, and "
        f"have no label: where tables tell labels, and they do of {len(told):,} pictures, folders do not. To have the "
        "labels of the folders instead, import into a new data set with `--format folders` (`format` of a request)."
    )
    return Hearing(note=Note("folder_labels_ignored", detail))


def may_be_picture(name: str) -> bool:
    suffix = PurePosixPath(name).suffix
    return not suffix or SUFFIX.fullmatch(suffix) is not None


def listed(folder: str, kind: Kind) -> set[str]:
    return set(folder_labels(folder)) if kind == "multi_label" else {from_path(folder)}
