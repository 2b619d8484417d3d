"""The files beside a table: which one a line means."""

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from functools import cached_property
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


def decoded(path: str) -> str:
    return unicodedata.normalize("NFC", unquote(path))


def caseless(path: str) -> str:
    return unicodedata.normalize("NFC", decoded(path).casefold())


def without_suffix(path: str) -> str:
    found = PurePosixPath(caseless(path))
    return str(found.with_suffix("")) if SUFFIX.fullmatch(found.suffix) else str(found)


LOOSE: Final[dict[str, Callable[[str], str]]] = {
    "percent-encoding": decoded,
    "upper and lower case": caseless,
    "the suffix": without_suffix,
}
"""What a name may differ in from the file that it means, one more with each step, and what counts of a path then."""


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
        for written in dict.fromkeys((file, file.strip())):
            for name in (str(PurePosixPath(table).parent / written), str(PurePosixPath(written))):
                if name in self._names:
                    return name, True
        alike = self._alike.get(PurePosixPath(file.strip()).name, [])
        return nearest(file.strip(), alike), False

    def find_loosely(self, file: str, taken: Collection[str]) -> tuple[str | None, str]:
        """Return the file that a line means if its name is written otherwise, and what it differs in.

        Args:
            file: as the table writes it.
            taken: files that other lines name as they are.
        """
        uploaded = UPLOADED.fullmatch(decoded(file.strip()))
        for written in (file.strip(), *([uploaded["name"]] if uploaded else [])):
            for difference, key in LOOSE.items():
                alike = self._loosely[difference].get(PurePosixPath(key(written)).name, [])
                alike = [name for name in alike if name not in taken] if len(alike) <= ALIKE else []
                if found := nearest(written, alike, key):
                    return found, difference
        return None, ""

    @cached_property
    def _loosely(self) -> dict[str, dict[str, list[str]]]:
        """By what names differ in, and by what counts of them then: the files."""
        found: dict[str, dict[str, list[str]]] = {difference: defaultdict(list) for difference in LOOSE}
        for name in sorted(self._names):
            for difference, key in LOOSE.items():
                found[difference][PurePosixPath(key(name)).name].append(name)
        return found


def nearest(file: str, alike: Collection[str], key: Callable[[str], str] = str) -> str | None:
    """Return the file whose folders agree best with a path; None where two agree as well, or there are very many."""
    if not alike or len(alike) > ALIKE:
        return None
    ranked = sorted((-common_folders(key(name), key(file)), name) for name in alike)
    return None if len(ranked) > 1 and ranked[0][0] == ranked[1][0] else ranked[0][1]


def common_folders(a: str, b: str) -> int:
    """Return in how many of the folders next to the file two paths agree."""
    pairs = zip(reversed(PurePosixPath(a).parts[:-1]), reversed(PurePosixPath(b).parts[:-1]), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
