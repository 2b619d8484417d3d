"""The files beside a table: which one a line means."""

import itertools
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

ALIKE: Final = 200
"""Of more files with one name none is chosen: comparing them all would take for ever."""


class Files:
    """The files that are there, to be found by what a table calls them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._alike: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self._names):
            path = PurePosixPath(name)
            for key in {path.name, path.stem}:
                self._alike[key].append(name)

    def find(self, file: str, table: str) -> tuple[str | None, bool]:
        """Return the file that a line means, and whether its whole path stands there.

        Else it is the one of that name, with or without its ending, whose folders agree best; none where two agree as
        well. So tables are understood that were written where the pictures lay otherwise.
        """
        for name in (str(PurePosixPath(table).parent / file), str(PurePosixPath(file))):
            if name in self._names:
                return name, True
        alike = self._alike.get(PurePosixPath(file).name, [])
        if not alike or len(alike) > ALIKE:
            return None, False
        best, *others = sorted(alike, key=lambda name: -common_folders(name, file))
        if others and common_folders(best, file) == common_folders(others[0], file):
            return None, False
        return best, False


def common_folders(a: str, b: str) -> int:
    """Return in how many of the folders next to the file two paths agree."""
    pairs = zip(reversed(PurePosixPath(a).parts[:-1]), reversed(PurePosixPath(b).parts[:-1]), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
