"""What `tsukiji doctor` looks at on this machine alone: Python, disk, memory, limits, PyTorch, weights."""

import locale
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tsukiji import __version__, types
from tsukiji.cli import weights
from tsukiji.cli.programs import ProgramsMissing, data_folder, programs_folder
from tsukiji.types import Recipe
from tsukiji.types.diagnoses import Diagnosis, fine, problem, warning

FREE_BYTES: Final = 2 * 2**30
MEMORY_BYTES: Final = 3 * 2**30
SHARED_BYTES: Final = 256 * 2**20
OPEN_FILES: Final = 1024
NVIDIA_DRIVER: Final = Path("/proc/driver/nvidia")
SHARED: Final = Path("/dev/shm")  # noqa: S108 - looked at, not written to
MEMORY: Final = Path("/proc/meminfo")
CGROUP: Final = Path("/sys/fs/cgroup/memory.max")
COMPILED: Final = ("sqlalchemy", "pydantic")
"""Some packages that are imported at each start."""


def machine() -> Iterator[Diagnosis]:
    yield python_version()
    yield disk()
    yield from memory()
    yield from encoding()
    yield programs()
    if has_programs():
        yield from shared_memory()
        yield from open_files()
        yield from bytecode()
    yield from pytorch()
    yield from pretrained()


def python_version() -> Diagnosis:
    return fine("python", f"{platform.python_version()}, tsukiji {__version__}")


def disk() -> Diagnosis:
    place = Path(os.environ.get("TSUKIJI_DATA_DIR") or ".").absolute()
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / 2**30:.1f} GiB free at {existing}"
    if free < FREE_BYTES:
        return problem("disk", detail, "Free some space; start with at least 2 GiB.")
    return fine("disk", detail)


def memory() -> Iterator[Diagnosis]:
    """Look at the memory that a container may use, or else the machine's."""
    limit = CGROUP.read_text().strip() if CGROUP.is_file() else "max"
    lines = dict(line.split(":", 1) for line in MEMORY.read_text().splitlines()) if MEMORY.is_file() else {}
    sizes = [int(lines["MemTotal"].split()[0]) * 1024] if "MemTotal" in lines else []
    sizes += [int(limit)] if limit.isdigit() else []
    if not sizes:
        return
    detail = f"{min(sizes) / 2**30:.1f} GiB"
    if min(sizes) < MEMORY_BYTES:
        yield warning("memory", detail, "A training needs about 2 GiB, a worker 1: give it 3 GiB or more.")
    else:
        yield fine("memory", detail)


def encoding() -> Iterator[Diagnosis]:
    """Names of files in other scripts need UTF-8."""
    names, text = sys.getfilesystemencoding(), locale.getpreferredencoding(do_setlocale=False)
    if {names.lower().replace("-", ""), text.lower().replace("-", "")} != {"utf8"}:
        detail = f"{names} for names of files, {text} for text"
        yield warning("encoding", detail, "Set LANG=C.UTF-8, or PYTHONUTF8=1: names may be misread otherwise.")


def programs() -> Diagnosis:
    """A client without the programs is whole; it only cannot run a service itself."""
    try:
        return fine("programs", f"in {programs_folder()}")
    except ProgramsMissing:
        return fine("programs", "not installed: this is a client-only installation")


def has_programs() -> bool:
    try:
        programs_folder()
    except ProgramsMissing:
        return False
    return True


def shared_memory() -> Iterator[Diagnosis]:
    """Decoding processes of a training hand pictures over in shared memory; Docker gives 64 MiB."""
    if SHARED.is_dir() and (size := shutil.disk_usage(SHARED).total) < SHARED_BYTES:
        hint = "Start the container with `--shm-size 2g`, or set TSUKIJI_TRAINING_WORKERS=0."
        yield warning("shared memory", f"{SHARED} has {size / 2**20:.0f} MiB", hint)


def open_files() -> Iterator[Diagnosis]:
    """Each connection and each file of a request is one."""
    import resource  # noqa: PLC0415 - Windows, where only clients run, has none

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES:
        yield warning("open files", f"at most {soft}", "Raise the limit: `ulimit -n 4096`, or LimitNOFILE of systemd.")


def bytecode() -> Iterator[Diagnosis]:
    """Without compiled packages, each start compiles them again."""
    if not sys.dont_write_bytecode:
        return
    specs = [spec for name in COMPILED if (spec := find_spec(name)) and spec.origin]
    if any(not list(Path(spec.origin or "").parent.glob("__pycache__/*.pyc")) for spec in specs):
        detail = "PYTHONDONTWRITEBYTECODE is set, and packages are not compiled: starts are slow"
        yield warning("bytecode", detail, "Unset it, or compile the environment once: `python -m compileall`.")


def pytorch() -> Iterator[Diagnosis]:
    """Tell which build of PyTorch is installed, and whether it fits this machine. Imports none."""
    try:
        found = version("torch")
    except PackageNotFoundError:
        return
    cuda = any((package.name or "").startswith("nvidia-") for package in distributions())
    driver = NVIDIA_DRIVER.exists()
    detail = f"{found}, {'with CUDA' if cuda else 'for CPUs'}"
    if cuda and sys.platform == "linux" and not driver:
        hint = "This machine has no NVIDIA GPU: installed with UV_TORCH_BACKEND=cpu, PyTorch takes 3 GB less."
        yield warning("pytorch", detail, hint)
    elif driver and not cuda:
        hint = "The GPU is not used: install PyTorch with UV_TORCH_BACKEND=auto."
        yield warning("pytorch", f"{detail}, though there is an NVIDIA GPU", hint)
    else:
        yield fine("pytorch", detail)


def pretrained() -> list[Diagnosis]:
    """Look for the weights of the backbones in use: the recipe's own, and any that was brought to the weights folder.

    They matter where the workers run; an installation of the client alone has no say in them.
    """
    if not has_programs():
        return []
    try:
        found = weights.run("ls")
    except weights.WeightsFailed as error:
        return [problem("weights", str(error), "")]
    default = (Recipe().backbone, "torchvision")
    return [judge(one) for one in found if (one.backbone, one.weights) == default or one.place is not None]


def judge(found: types.BackboneWeights) -> Diagnosis:
    check = f"weights {found.backbone}" + (" ra4" if found.weights == "ra4" else "")
    if found.place is not None:
        return fine(check, f"{found.place}, {weights.size(found)}")
    hint = (
        f"A training downloads them if it may; `tsukiji weights fetch {found.backbone}` does so now. Without "
        "internet access, copy a file here and run `tsukiji weights add FILE`."
    )
    return warning(check, "not on this machine", hint)


def serves_here() -> bool:
    """Is a service set up on this machine: programs, and a database of its own or that of its settings?"""
    there = os.environ.get("TSUKIJI_DATABASE_URL") or (data_folder() / "tsukiji.db").exists()
    return has_programs() and bool(there or os.environ.get("TSUKIJI_DATA_DIR"))
