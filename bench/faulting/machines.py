"""The machines of a service, with faults that take root: a disk that fills up, links that are cut, clocks that jump.

The disk is a file of its own, mounted where the data is. The hosts are namespaces (`bench.hosting.network`). A clock is
libfaketime's, read from a file by all programs of a machine; what they measure durations with goes on as it was.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import structlog

from bench.faulting.servers import HERE, Place
from bench.hosting.network import Host, NamespacesMissing, network

log = structlog.get_logger(__name__)

DISK_BYTES: Final = 24 * 2**30
"""Sparse: it takes what is written."""


@dataclass(frozen=True)
class Disk:
    folder: Path

    def fill(self) -> None:
        """Leave not a byte."""
        with self._ballast.open("wb") as file:
            facts = os.fstatvfs(file.fileno())
            for size in (facts.f_bavail * facts.f_frsize - 2**22, 2**20, 2**16, 2**12):  # what is left, ever smaller
                while take(file.fileno(), size):
                    pass

    def free(self) -> None:
        self._ballast.unlink()

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@dataclass(frozen=True)
class Clock:
    file: Path
    library: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",  # the kernel, which dates files, has the right time
        }

    def set(self, seconds: float) -> None:
        """Let it be wrong by these seconds."""
        draft = self.file.with_suffix(".new")
        draft.write_text(f"{seconds:+.0f}\n")
        draft.replace(self.file)


@dataclass(frozen=True)
class Machines:
    """Without any, everything runs here, and none of these faults can happen."""

    disk: Disk | None = None
    services: Place = HERE
    hosts: list[Host] = field(default_factory=list)
    clocks: list[Clock] = field(default_factory=list)

    def prefix(self, number: int) -> tuple[str, ...]:
        """Before the commands of programs on this machine."""
        return self.hosts[number].prefix if self.hosts else ()

    def environment(self, number: int) -> dict[str, str]:
        return self.clocks[number].environment if self.clocks else {}

    @property
    def address(self) -> str:
        """Where the API listens."""
        return self.hosts[0].address if self.hosts else "127.0.0.1"


@contextmanager
def machines(home: Path, *, several: bool) -> Iterator[Machines]:
    """Make what can be made here, and say what cannot.

    Args:
        home: its folder `data` is the disk.
        several: servers on one host, programs on two others; otherwise all on this one.
    """
    with ExitStack() as cleanup:
        hosts: list[Host] = []
        if several:
            try:
                hosts = cleanup.enter_context(network("services", "one", "two"))
            except NamespacesMissing as error:
                log.warning("no_links_to_cut", reason=str(error))
        place = Place(hosts[0].address, hosts[0].prefix) if hosts else HERE
        clocks = make_clocks(home, 2 if several else 1)
        yield Machines(cleanup.enter_context(disk(home)), place, hosts[1:], clocks)


@contextmanager
def disk(home: Path) -> Iterator[Disk | None]:
    """Mount a disk of its own at the data folder; None where that is not possible."""
    image, folder = home / "disk", home / "data"
    folder.mkdir(mode=0o700)
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    try:
        run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
        run("mount", "-o", "loop", str(image), str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        log.warning("no_disk_to_fill", reason=str(error))
        yield None
        return
    try:
        yield Disk(folder)
    finally:
        run("umount", "--lazy", str(folder))


def make_clocks(home: Path, count: int) -> list[Clock]:
    """Return clocks that are right; none without libfaketime."""
    found = find_spec("libfaketime")
    if found is None or found.origin is None:
        log.warning("no_clocks_to_set", reason="install libfaketime")
        return []
    library = Path(found.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    clocks = [Clock(home / f"clock{number}", library) for number in range(count)]
    for clock in clocks:
        clock.set(0)
    return clocks


def take(handle: int, size: int) -> bool:
    """Make a file larger by these bytes, if the disk has them."""
    try:
        os.posix_fallocate(handle, os.fstat(handle).st_size, max(1, size))
    except OSError:
        return False
    return True


def run(*command: str) -> None:
    subprocess.run(command, capture_output=True, text=True, check=True)
