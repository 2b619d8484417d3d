"""Atomic creation of files, and translation of disk errors. Knows no blobs."""

import ctypes
import errno
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from tsukiji.errors import StorageFull, StorageUnavailable

SYNCS_ALL: Final = sys.platform == "linux"
"""Whether there is `sync_all`."""
FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn an `OSError` into `StorageFull` or `StorageUnavailable`."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(f"The disk is full: {error}") from error
        raise StorageUnavailable(f"Disk error: {error}") from error


@contextmanager
def draft(folder: Path) -> Iterator[IO[bytes]]:
    """Open a new file in `folder` to write into; it is deleted at the end unless published."""
    path = folder / f"{secrets.token_hex(16)}.tmp"
    with disk_errors():
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("xb")
    try:
        yield file
    finally:
        with suppress(OSError):  # closing flushes, which fails again on a full disk
            file.close()
        with suppress(OSError):  # keep the first error; a leftover draft is deleted a day later
            path.unlink(missing_ok=True)


def publish(file: IO[bytes], target: Path, *, synced: bool = True) -> None:
    """Rename a draft once all of it is on disk; both paths must be on one file system.

    Unless `synced`, a power cut may lose or truncate it until `sync_all`.
    """
    with disk_errors():
        file.flush()
        if synced:
            os.fsync(file.fileno())
        file.close()  # Windows cannot rename open files
        target.parent.mkdir(parents=True, exist_ok=True)
        Path(file.name).replace(target)
        if synced:
            _sync_folder(target.parent)


def sync_all(folder: Path) -> None:
    """Write everything in this folder's file system to the disk (Linux only)."""
    with disk_errors():
        handle = os.open(folder, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(handle):
                raise OSError(ctypes.get_errno(), "syncfs failed")
        finally:
            os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Without this a power cut may lose the new name. Windows cannot open folders, and does not need this."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
