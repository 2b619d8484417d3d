"""`python -m devtools.image_sizes`: how large the Python packages of both container images are.

Computed from the wheels: uv resolves what each Dockerfile installs and says how large each wheel is; nothing is
downloaded or built. A layer is about as large as its wheels, for registries compress it as wheels are compressed.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

ROOT: Final = Path(__file__).parents[1]
IMAGES: Final = ("api", "worker")
PYTHON: Final = (3, 12)
PLATFORMS: Final = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)] + ["manylinux2014_x86_64"]
CUDA: Final = ("nvidia-", "triton", "cuda-")
LARGEST: Final = 5


def main() -> None:
    for image in IMAGES:
        dockerfile = (ROOT / "deploy" / f"{image}.Dockerfile").read_text("utf-8")
        sizes = sizes_of(resolve(re.findall(r"--extra (\w+)", dockerfile)))
        gpu = {name for name in sizes if name.startswith(CUDA)}
        print(f"{image}: {total(sizes)}")
        if gpu:
            rest = {name: size for name, size in sizes.items() if name not in gpu and name != "torch"}
            torch, cuda = total(pick(sizes, {"torch"})), total(pick(sizes, gpu))
            print(f"  cuda: torch {torch}, {len(gpu)} packages of CUDA {cuda}")
            print(f"  cpu: {total(rest)}, and PyTorch's build for CPUs from its own index")
        largest = sorted(sizes, key=lambda name: -sizes[name])[:LARGEST]
        print("  largest: " + ", ".join(f"{name} {total(pick(sizes, {name}))}" for name in largest))


def resolve(extras: list[str]) -> list[dict[str, Any]]:
    """Return the packages of an installation, as in pylock.toml (PEP 751)."""
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "pylock.toml"
        subprocess.run(
            [
                *("uv", "pip", "compile", "--quiet", "--format", "pylock.toml", "--output-file", lock),
                *("--python-version", ".".join(map(str, PYTHON)), "--python-platform", "x86_64-manylinux_2_28"),
                *("--constraint", ROOT / "constraints.txt", *(f"--extra={extra}" for extra in extras)),
                ROOT / "pyproject.toml",
            ],
            check=True,
            stdout=sys.stderr,
        )
        return list(tomllib.loads(lock.read_text("utf-8"))["packages"])


def sizes_of(packages: list[dict[str, Any]]) -> dict[str, int]:
    """Return the bytes of the wheel that would be installed of each package."""
    tags = [*cpython_tags(PYTHON, platforms=PLATFORMS), *compatible_tags(PYTHON, platforms=PLATFORMS)]
    ranks = {tag: rank for rank, tag in enumerate(tags)}
    return {package["name"]: size_of(package, ranks) for package in packages}


def size_of(package: dict[str, Any], ranks: dict[Tag, int]) -> int:
    fitting = []
    for wheel in package.get("wheels", []):
        name = wheel.get("name") or unquote(urlsplit(wheel["url"]).path.rpartition("/")[2])
        try:
            found = [ranks[tag] for tag in parse_wheel_filename(name)[3] if tag in ranks]
        except InvalidWheelFilename:
            continue
        if found:
            fitting.append((min(found), wheel["size"]))
    if fitting:
        return int(min(fitting)[1])
    return int(package["sdist"]["size"])


def pick(sizes: dict[str, int], names: set[str]) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if name in names}


def total(sizes: dict[str, int]) -> str:
    return f"{sum(sizes.values()) / 1e6:,.0f} MB"


if __name__ == "__main__":
    main()
