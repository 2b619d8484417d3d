"""Small named texts beside the blobs of a place, each written whole or not at all: the list of its backups."""

from abc import abstractmethod
from pathlib import Path
from typing import Final, Protocol

from tsukiji.kernel.storage.disk import disk_errors, draft, publish

FOLDER: Final = "backups"
"""No prefix of a hash, so that blobs and pages never meet."""


class Pages(Protocol):
    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Keep a text under a name; after it returns it survives a crash."""

    @abstractmethod
    def read(self, name: str) -> bytes: ...

    @abstractmethod
    def delete(self, name: str) -> None: ...

    @abstractmethod
    def names(self) -> list[str]:
        """Return all names, sorted."""


class LocalPages(Pages):
    def __init__(self, root: Path) -> None:
        self._drafts = root / "tmp"
        self._folder = root / FOLDER

    def write(self, name: str, content: bytes) -> None:
        with draft(self._drafts) as file, disk_errors():
            file.write(content)
            publish(file, self._folder / name)

    def read(self, name: str) -> bytes:
        with disk_errors():
            return (self._folder / name).read_bytes()

    def delete(self, name: str) -> None:
        with disk_errors():
            (self._folder / name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        with disk_errors():
            return sorted(path.name for path in self._folder.iterdir()) if self._folder.is_dir() else []
