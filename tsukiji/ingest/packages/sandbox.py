"""Unpacks and checks an untrusted zip in a process of its own, with little memory and time.

`python -m tsukiji.ingest.packages.sandbox ZIP FOLDER MAX_BYTES MAX_RATIO MOST_LABELS`: prints an error as one JSON
object. All numbers in a package are checked before use; this is the second line of defence.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tsukiji.errors import PackageInvalid, StorageFull, TsukijiError
from tsukiji.ingest.packages.intake import (
    check,
    check_held_out,
    check_size,
    clean_labels,
    leave_out_int8,
    limits_of,
    unpack,
)
from tsukiji.ingest.packages.tensors import check_finite
from tsukiji.kernel.storage.disk import disk_errors
from tsukiji.vision import package, preprocess  # noqa: F401 - imports Pillow and numpy before `limit`

if sys.platform != "win32":  # there the process is only killed when it takes too long
    import resource

MEMORY_BYTES: Final = 2**30
"""In addition to interpreter and libraries, and to the files, which are in memory one at a time."""
PROCESSOR_SECONDS: Final = 120
NICENESS: Final = 10
SECONDS: Final = 300
"""Wall-clock time: a disk may be slow."""


@dataclass(frozen=True)
class Room:
    """Limits on a package."""

    max_bytes: int
    """Of the zip."""
    max_ratio: float
    most_labels: int


def unpack_apart(archive: Path, folder: Path, room: Room) -> None:
    """Unpack a zip into an empty folder, check the package, and normalise its labels as in data sets.

    Raises:
        PackageInvalid: it is no complete package, or checking it takes too much memory or time.
        StorageFull: the disk is full.
    """
    command = [sys.executable, "-m", __name__, str(archive), str(folder)]
    command += [str(room.max_bytes), str(room.max_ratio), str(room.most_labels)]
    ours = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # each thread would reserve memory, and nothing is multiplied
    root = Path(__file__).parents[3]
    try:
        ended = subprocess.run(command, cwd=root, env=ours, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise PackageInvalid(f"The package could not be checked within {SECONDS} seconds.") from error
    if ended.returncode == 0:
        return
    told: dict[str, Any] = {}
    with suppress(ValueError):
        told = json.loads(ended.stdout)
    if told.get("code") == StorageFull.code:
        raise StorageFull(told["detail"])
    if not told:
        sys.stderr.write(ended.stderr.decode(errors="replace")[-2000:])
        told = {"detail": "Checking the package takes too much memory or time."}
    raise PackageInvalid(told.pop("detail"), **{"reason": told["reason"]} if "reason" in told else {})


def take(archive: Path, folder: Path, room: Room) -> None:
    """Do the work of `unpack_apart` in this process. Raises what that raises."""
    with disk_errors():
        unpack(archive, folder, limits_of(room.max_bytes, room.max_ratio))
    checked = check(folder, clean_labels(folder, leave_out_int8(folder, package.verify(folder))))
    if checked.config.num_classes > room.most_labels:
        raise PackageInvalid(
            f"The model has {checked.config.num_classes} labels; at most {room.most_labels} are allowed.",
            hint="Raise TSUKIJI_LIMIT_DATASET_CLASSES, or use a model with fewer labels.",
        )
    check_size(folder, checked.config)
    check_held_out(folder)
    for file, header in checked.headers.items():
        check_finite(folder / file, header)


def limit(archive: Path) -> None:
    """Limit this process's memory and time, as far as the system can, and lower its priority.

    Memory of numpy and Pillow does not count: they are imported already.
    """
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    if sys.platform == "win32":
        return
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        most = pages * resource.getpagesize() + MEMORY_BYTES + 3 * archive.stat().st_size
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))


def main(arguments: list[str]) -> int:
    archive, folder, max_bytes, max_ratio, most_labels = arguments
    try:
        limit(Path(archive))
        take(Path(archive), Path(folder), Room(int(max_bytes), float(max_ratio), int(most_labels)))
    except TsukijiError as error:
        sys.stdout.write(json.dumps(error.to_dict()))
        return 1
    except MemoryError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
