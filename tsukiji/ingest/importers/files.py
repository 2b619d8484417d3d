"""The files beside a table: which one a line means."""

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

ALIKE: Final = 200
"""Of more files with one name none is chosen: comparing them all would take for ever."""
CONTAINER: Final = re.compile(
    r"ima?ge?s?|pic(ture)?s?|photos?|data(set)?|media|files|uploads?|jpe?g(images)?|png", re.IGNORECASE
)
"""Folders that hold pictures of whatever kind, as tools and people name them."""
SUFFIX: Final = re.compile(
    r"\.(jp[eg]|jpeg|jfif|a?png|gif|bmp|dib|tiff?|webp|avif|hei[cf]|mpo|jp2|jxl|p[bgp]m|dcm|dng|cr[23]|nef|arw|orf|rw2"
    r"|raf|raw|psd|svg)",
    re.IGNORECASE,
)
UPLOADED: Final = re.compile(r"(.*/)?data/upload/(?:\d+/)?[0-9a-f]{8}-(?P<name>[^/]+)")
"""A path of Label Studio, which puts eight characters before the name of a file that is sent to it."""


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
"""What a name may differ in from the file that it means, one more with each step, and what counts of a path then."""
PREFIX: Final = "a prefix of Label Studio"


class Files:
    """The files that are there, to be found by what a table calls them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._alike: dict[str, dict[str, list[str]]] = {}

    def find(self, file: str, table: str) -> str | None:
        """Return the file whose whole path a line writes, from the table or from the top."""
        paths = (path for written in dict.fromkeys((file, file.strip())) for path in paths_of(written, table))
        return next((path for path in paths if path in self._names), None)

    def find_alike(self, file: str, table: str, taken: Collection[str]) -> tuple[str | None, str]:
        """Return the file that a line means which writes no whole path, and what its name differs in, if in anything.

        It is the one of that name, with or without its suffix, whose folders agree best; none where two agree as well.
        So tables are understood that were written where the pictures lay otherwise. A name that differs means the one
        file that it can mean, and goes before a file of that very name in folders that agree less.

        Args:
            file: as the table writes it.
            table: its own name.
            taken: the files whose whole paths other lines write.
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
        """Return the files by what counts of their names, whatever they differ in."""
        if difference not in self._alike:
            found = self._alike[difference] = defaultdict(list)
            key = SPELLINGS[difference]
            for name in self._names:
                spelt = last(key(name))
                for word in {spelt, spelt if difference else PurePosixPath(spelt).stem}:
                    found[word].append(name)
        return self._alike[difference]


def paths_of(file: str, table: str) -> tuple[str, str]:
    """Return what a line may write: a path from the table, or from the top."""
    path = PurePosixPath(file)
    folder = table.rpartition("/")[0]
    return str(PurePosixPath(folder) / path) if folder else str(path), str(path)


def nearest(paths: Sequence[str], alike: Iterable[str], key: Callable[[str], str]) -> tuple[str | None, int]:
    """Return the file whose folders agree best with one of the paths, and in how many; none where two agree as well."""
    ranked = sorted((-max(common_folders(key(name), path) for path in paths), name) for name in alike)
    if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        return None, -1
    return ranked[0][1], -ranked[0][0]


def common_folders(a: str, b: str) -> int:
    """Return in how many of the folders next to the file two paths agree."""
    pairs = zip(reversed(a.split("/")[:-1]), reversed(b.split("/")[:-1]), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def last(path: str) -> str:
    return path.rpartition("/")[2]
