"""Finds the file that a line of a table means."""

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

ALIKE: Final = 200
"""With more files of one name none is selected: comparing them all would take forever."""
CONTAINER: Final = re.compile(
    r"ima?ge?s?|pic(ture)?s?|photos?|data(set)?|media|files|uploads?|jpe?g(images)?|png", re.IGNORECASE
)
"""Common names of folders for pictures of any kind."""
SUFFIX: Final = re.compile(
    r"\.(jp[eg]|jpeg|jfif|a?png|gif|bmp|dib|tiff?|webp|avif|hei[cf]|mpo|jp2|jxl|p[bgp]m|dcm|dng|cr[23]|nef|arw|orf|rw2"
    r"|raf|raw|psd|svg)",
    re.IGNORECASE,
)
UPLOADED: Final = re.compile(r"(.*/)?data/upload/(?:\d+/)?[0-9a-f]{8}-(?P<name>[^/]+)")
"""A path of Label Studio, which prefixes uploaded files with eight characters."""


def as_it_is(path: str) -> str:
    return path


def decoded(path: str) -> str:
    return unicodedata.normalize("NFC", unquote(path))


def caseless(path: str) -> str:
    return unicodedata.normalize("NFC", decoded(path).casefold())


def without_suffix(path: str) -> str:
    stem, dot, suffix = caseless(path).rpartition(".")
    return stem if SUFFIX.fullmatch(dot + suffix) else stem + dot + suffix


SPELLINGS: Final[dict[str, Callable[[str], str]]] = {
    "": as_it_is,
    "percent-encoding": decoded,
    "upper and lower case": caseless,
    "the suffix": without_suffix,
}
"""Ways in which a name may differ from its file's, from strict to loose, with the significant part of a path."""
PREFIX: Final = "a prefix of Label Studio"


class Files:
    """The available files, to be found by the names in a table."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._alike: dict[str, dict[str, list[str]]] = {}

    def find(self, file: str, table: str) -> str | None:
        """Return the file with exactly this path, relative to the table or to the top."""
        paths = (path for written in dict.fromkeys((file, file.strip())) for path in paths_of(written, table))
        return next((path for path in paths if path in self._names), None)

    def find_alike(self, file: str, table: str, taken: Collection[str]) -> tuple[str | None, str]:
        """Return the file that a line without an exact path means, and in what its name differs, if it does.

        It is the one of that name, with or without its suffix, whose folders match best; none on a tie. So tables are
        understood that were written for another location of the pictures. A file with a slightly different name is
        preferred to one with the same name if it is the only candidate and its folders match better.

        Args:
            file: as in the table.
            table: its own name.
            taken: the files to which other lines have exact paths.
        """
        uploaded = UPLOADED.fullmatch(decoded(file.strip()))
        found: tuple[int, str | None, str] = (-1, None, "")
        for written, prefix in ((file.strip(), ""), *([(uploaded["name"], PREFIX)] if uploaded else [])):
            paths = paths_of(written, table)
            most = max(path.count("/") for path in paths)
            for difference, key in SPELLINGS.items():
                alike = self._spelt(difference).get(last(key(paths[1])), [])
                alike = [name for name in alike if name not in taken] if len(alike) <= ALIKE else []
                name, folders = nearest([key(path) for path in paths], alike, key)
                found = max(found, (folders, name, prefix or difference), key=lambda one: one[0])
                if found[0] >= most:
                    return found[1], found[2]
            if found[1] is not None:
                break
        return found[1], found[2]

    def _spelt(self, difference: str) -> dict[str, list[str]]:
        """Return the files by the significant part of their names, ignoring this difference."""
        if difference not in self._alike:
            found = self._alike[difference] = defaultdict(list)
            key = SPELLINGS[difference]
            for name in self._names:
                spelt = last(key(name))
                for word in {spelt, spelt if difference else PurePosixPath(spelt).stem}:
                    found[word].append(name)
        return self._alike[difference]


def paths_of(file: str, table: str) -> tuple[str, str]:
    """Return the possible meanings of a path: relative to the table, or to the top."""
    path = PurePosixPath(file)
    folder = table.rpartition("/")[0]
    return str(PurePosixPath(folder) / path) if folder else str(path), str(path)


def nearest(paths: Sequence[str], alike: Iterable[str], key: Callable[[str], str]) -> tuple[str | None, int]:
    """Return the file whose folders match one of the paths best, and in how many; none on a tie."""
    ranked = sorted((-max(common_folders(key(name), path) for path in paths), name) for name in alike)
    if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        return None, -1
    return ranked[0][1], -ranked[0][0]


def common_folders(a: str, b: str) -> int:
    """Return how many of the innermost folders of two paths are the same."""
    pairs = zip(reversed(a.split("/")[:-1]), reversed(b.split("/")[:-1]), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def last(path: str) -> str:
    return path.rpartition("/")[2]
