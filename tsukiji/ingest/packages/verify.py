"""`python -m tsukiji.ingest.packages.verify PATH`: checks one package (folder or zip), and runs its self-test.

Prints one JSON object.

The client alone can check hashes and formats; the self-test needs the extra `inference`, and is reported as skipped
without it.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from tsukiji.errors import PackageInvalid
from tsukiji.ingest.packages.intake import CheckedPackage, check, check_held_out, check_size, limits_of, unpack
from tsukiji.ingest.packages.tensors import check_finite
from tsukiji.vision import package

ZIP_BYTES: Final = 16 * 2**30


class Check(BaseModel):
    """One check; `ok` is None if it was skipped."""

    check: str
    ok: bool | None
    detail: str


class Verdict(BaseModel):
    """The result; `ok` means that no check failed, even if some were skipped."""

    path: str
    ok: bool
    checks: list[Check]


def verify(path: Path) -> Verdict:
    """Check a package; problems are in the verdict.

    Raises:
        FileNotFoundError: `path` does not exist.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist.")
    checks: list[Check] = []
    try:
        with _opened(path) as folder:
            checks.extend(_look(folder))
    except PackageInvalid as error:
        checks.append(Check(check="package", ok=False, detail=error.detail))
    return Verdict(path=str(path), ok=all(found.ok is not False for found in checks), checks=checks)


@contextmanager
def _opened(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as scratch:
        unpack(path, Path(scratch), limits_of(ZIP_BYTES))
        yield Path(scratch)


def _look(folder: Path) -> Iterator[Check]:
    checked = check(folder, package.verify(folder))
    files = checked.manifest.files
    size = sum(facts.bytes for facts in files.values()) / 2**20
    yield Check(check="hashes", ok=True, detail=f"{len(files)} files, {size:.1f} MiB, as the manifest lists them")
    config = checked.config
    detail = f"{checked.manifest.format}: {config.architecture}, {config.num_classes} labels"
    yield Check(check="formats", ok=True, detail=detail)
    missing = _missing("numpy", "PIL")
    if missing:
        yield Check(check="weights", ok=None, detail=f"skipped: {missing} is not installed")
    else:
        check_size(folder, config)
        check_held_out(folder)
        for name, header in checked.headers.items():
            check_finite(folder / name, header)
        yield Check(check="weights", ok=True, detail="all are numbers and match the labels")
    yield _try_out(folder, checked)


def _try_out(folder: Path, checked: CheckedPackage) -> Check:
    if not checked.examples:
        return Check(check="self-test", ok=None, detail="skipped: the package has no example images")
    if missing := _missing("torch", "safetensors", "numpy", "PIL", "pydantic_settings"):
        return Check(check="self-test", ok=None, detail=f"skipped: {missing} is not installed")
    from tsukiji.vision import selftest  # noqa: PLC0415 - torch is an optional extra

    detail = selftest.try_out(folder, checked.examples)
    return Check(check="self-test", ok=True, detail=detail)


def _missing(*names: str) -> str | None:
    """Return the first of these modules that is not installed."""
    return next((name for name in names if find_spec(name) is None), None)


def main() -> int:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tsukiji.ingest.packages.verify PATH")
    verdict = verify(Path(sys.argv[1]))
    sys.stdout.write(verdict.model_dump_json() + "\n")
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
