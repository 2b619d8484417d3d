"""Decides whether class folders are used when a table has the labels of some pictures only."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tsukiji.ingest.importers.files import SUFFIX
from tsukiji.ingest.importers.items import Note
from tsukiji.labels import folder_labels
from tsukiji.names import from_path
from tsukiji.types import Kind


@dataclass(frozen=True, slots=True)
class FolderLabelUse:
    """Whether folders give the labels of files that no table names, with a note for the user."""

    folders: bool = False
    note: Note | None = None


def use_of(
    told: Mapping[str, Sequence[str]],
    left: Collection[str],
    kind: Kind,
    folder_label: Callable[[str], str | None],
) -> FolderLabelUse:
    """Return whether folders are used beside tables: where both have a label for a picture, they must agree.

    Otherwise a file that no table names is unlabelled, with a note if there are class folders.

    Args:
        told: the labels of files in tables, without unlabelled ones.
        left: the files that no table names.
        kind: of the data set.
        folder_label: returns the label of a file's folder.
    """
    unheard = {name: label for name in left if may_be_picture(name) and (label := folder_label(name))}
    beside = {name: label for name in told if (label := folder_label(name))}
    if not told or not unheard:
        return FolderLabelUse()
    if beside and all(set(told[name]) == listed(label, kind) for name, label in beside.items()):
        return FolderLabelUse(folders=True)
    classes = {*unheard.values(), *beside.values()}
    if len(classes) < 2:
        return FolderLabelUse()
    shown = ", ".join(map(repr, sorted(classes)[:5]))
    detail = (
        f"{len(unheard):,} pictures in class folders ({shown}) are in no table, and "
        f"have no label: where tables tell labels, and they do of {len(told):,} pictures, folders do not. To have the "
        "labels of the folders instead, import into a new data set with `--format folders` (`format` of a request)."
    )
    return FolderLabelUse(note=Note("folder_labels_ignored", detail))


def may_be_picture(name: str) -> bool:
    suffix = PurePosixPath(name).suffix
    return not suffix or SUFFIX.fullmatch(suffix) is not None


def listed(folder: str, kind: Kind) -> set[str]:
    return set(folder_labels(folder)) if kind == "multi_label" else {from_path(folder)}
