"""Labels and splits from folder names, decided by all folders together.

A folder is the label of the pictures directly in it, as in torchvision's ImageFolder, unless it names a split. Whether
`train` is a split or a kind of vehicle depends on its neighbours.
"""

import shlex
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from tsukiji.ingest.importers.split_words import SplitName, plain_split, split_name
from tsukiji.ingest.importers.table_reader import is_text
from tsukiji.labels import PLUS
from tsukiji.types import FolderRole, Split

LISTED: Final = 10
SPLITS: Final[Mapping[FolderRole, Split]] = {"train": "train", "valid": "valid", "test": "test"}


@dataclass(eq=False, slots=True)
class Folder:
    """A folder with pictures directly or indirectly in it; label and split are those of pictures directly in it."""

    name: str = ""
    above: "Folder | None" = None
    files: int = 0
    """Directly in it."""
    folders: dict[str, "Folder"] = field(default_factory=dict)
    label: str | None = None
    split: Split | None = None
    role: FolderRole | None = None
    """Set by the sender for its path."""

    def at(self, path: Iterable[str]) -> "Folder | None":
        """Return a folder below this one; None if there is none."""
        folder: Folder | None = self
        for word in path:
            if folder is None:
                return None
            folder = folder.folders.get(word)
        return folder


Level = dict[str, list[Folder]]
"""Folders that are neighbours when splits above them are ignored, by name: for `train/cat`, `train/dog` and `test/cat`
these are `cat` and `dog`."""


class Folders:
    """Labels and splits of all folders.

    A name that means only a split is one if all its neighbours are such names, if it is `train` beside a held-out one,
    or if it contains folders. A longer name (`pets_train`) is one under the same conditions, and beside a split;
    several such folders of one split with pictures directly in them, and nothing else beside them, are kinds
    (`bullet_train`, `freight_train`).
    """

    def __init__(self, names: Iterable[str], roles: Mapping[str, FolderRole], *, have_labels: bool = True) -> None:
        """Analyse all folders.

        Args:
            names: of all files, relative and with slashes.
            roles: of folders, set by the sender by name or by path from the top.
            have_labels: whether folders give labels; otherwise a folder named like a split always is one.
        """
        self.warnings: list[dict[str, Any]] = []
        self._roles = {composed(name).strip("/"): role for name, role in roles.items()}
        self._have_labels = have_labels
        self._top = tree(names)
        for path, role in self._roles.items():
            if "/" in path and (folder := self._top.at(path.split("/"))):
                folder.role = role
        self._bare: dict[str, int] = defaultdict(int)
        waiting = [[self._top]]
        while waiting:
            waiting.extend(folders for folders in self._read(waiting.pop()) if folders)
        if self._bare and have_labels:
            self._warn(without_labels(self._bare))

    def label_and_split(self, name: str) -> tuple[str | None, Split | None]:
        """Return the label and the split of a picture; None if its folders do not give one."""
        path = PurePosixPath(composed(name)).parts[:-1]
        if folder := self._top.at(path):
            return folder.label, folder.split
        split = next((split for word in reversed(path) if (split := plain_split(word))), None)
        return (None if plain_split(path[-1]) else path[-1]), split

    def label(self, name: str) -> str | None:
        return self.label_and_split(name)[0]

    def split(self, name: str) -> Split | None:
        return self.label_and_split(name)[1]

    def _read(self, parents: list[Folder]) -> Iterator[list[Folder]]:
        """Decide the roles of the folders in these, and yield those whose own folders are neighbours."""
        level: Level = defaultdict(list)
        for parent in parents:
            for name, folder in parent.folders.items():
                level[name].append(folder)
        splits = self._splits(level)
        same: list[Folder] = []
        for name, folders in level.items():
            below: list[Folder] = []
            for folder in folders:
                role: FolderRole = self._role(folder) or splits.get(name) or "label"
                folder.label = name if role == "label" else None
                folder.split = SPLITS.get(role) or (folder.above.split if folder.above else None)
                (below if role == "label" else same).append(folder)
                if role in {"train", "valid"} and folder.files:
                    self._bare[name] += folder.files
            yield below
        yield same

    def _role(self, folder: Folder) -> FolderRole | None:
        return folder.role or self._roles.get(folder.name)

    def _splits(self, level: Level) -> dict[str, Split]:
        """Return the folders of a level that are splits, and warn of ambiguous ones."""
        given = {name: role for name, folders in level.items() if (role := self._role(folders[0]))}
        named = {
            name: found for name in level if name not in given and PLUS not in name and (found := split_name(name))
        }
        others = [name for name in level if name not in named and given.get(name, "label") == "label"]
        splits = {name: found.split for name, found in named.items()}
        if named and not are_splits(named, others, level):
            if not self._have_labels:
                return {name: split for name, split in splits.items() if not named[name].rest}
            self._warn(read_as_labels(splits, others))
            return {}
        inside = below(named, level)
        strange = [name for name in others if name not in inside and name not in given]
        if named and strange and self._have_labels:
            self._warn(beside_splits(strange, list(named)))
        return splits

    def _warn(self, warning: dict[str, Any]) -> None:
        if len(self.warnings) < LISTED:
            self.warnings.append(warning)


def are_splits(named: Mapping[str, SplitName], others: Collection[str], level: Level) -> bool:
    """Return whether these names mean splits, considering their neighbours."""
    of_rest: dict[tuple[str, ...], set[Split]] = defaultdict(set)
    for found in named.values():
        of_rest[found.rest].add(found.split)
    if any("train" in splits and len(splits) > 1 for splits in of_rest.values()):
        return True
    if others:
        return bool(below([name for name, found in named.items() if not found.rest], level))
    return () in of_rest or len(of_rest) == 1 or bool(below(named, level))


def below(names: Iterable[str], level: Level) -> set[str]:
    """Return the names of subfolders of all folders of a level."""
    return {inner for name in names for folder in level[name] for inner in folder.folders}


def tree(names: Iterable[str]) -> Folder:
    """Return the root of the tree of folders."""
    top = Folder()
    for name in names:
        if is_text(name):
            continue
        folder = top
        for word in PurePosixPath(composed(name)).parts[:-1]:
            if word not in folder.folders:
                folder.folders[word] = Folder(word, folder)
            folder = folder.folders[word]
        folder.files += 1
    return top


def composed(name: str) -> str:
    """Return a name in Unicode form NFC; some systems store folder names decomposed."""
    return unicodedata.normalize("NFC", name)


# --- warnings --------------------------------------------------------------------------------------------------------


def read_as_labels(splits: Mapping[str, Split], others: Collection[str]) -> dict[str, Any]:
    first, split = next(iter(splits.items()))
    beside = f", because of their neighbours ({listed(others)})" if others else ""
    detail = (
        f"Named like splits, but read as labels{beside}: {listed(splits)}. If {first!r} is a split, import into a new "
        f"data set with {option(first, split)}; {option(first, 'label')} confirms that it is a label."
    )
    return warning("split_read_as_label", detail, splits)


def beside_splits(names: Collection[str], splits: Sequence[str]) -> dict[str, Any]:
    first = next(iter(names))
    detail = (
        f"Next to folders that were read as splits ({listed(splits)}), but read as labels or folders of labels: "
        f"{listed(names)}. If {first!r} is a split, or neither, import into a new data set with "
        f"{option(first, 'test')} or {option(first, 'none')}; if {splits[0]!r} is a label, with "
        f"{option(splits[0], 'label')}."
    )
    return warning("folder_beside_splits", detail, names)


def without_labels(counts: Mapping[str, int]) -> dict[str, Any]:
    first = next(iter(counts))
    detail = (
        f"Files directly in folders that were read as splits ({listed(counts)}) have no label: "
        f"{sum(counts.values()):,}. To give them labels, put each into a folder named after its label, or write a "
        f"table of `file` and `label` (say, from their names), and import again, with `--table`. If {first!r} is a "
        f"label, import into a new data set with {option(first, 'label')}."
    )
    return warning("split_without_labels", detail, counts)


def option(name: str, role: str) -> str:
    """Return how to set a folder's role: on the command line, and in a request."""
    return f"`--folder {shlex.quote(f'{name}={role}')}` (`folders` of a request)"


def warning(code: str, detail: str, names: Iterable[str]) -> dict[str, Any]:
    return {"code": code, "detail": detail, "folders": list(names)[:LISTED]}


def listed(names: Collection[str]) -> str:
    shown = ", ".join(repr(name[:100]) for name in list(names)[:LISTED])
    return shown + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
