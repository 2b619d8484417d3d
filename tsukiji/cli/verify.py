"""`tsukiji models verify`: is a package whole, and does it answer here as it did where it was made?

The looking is done by a process of its own: the command line knows neither numpy nor PyTorch.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import BaseModel

from tsukiji.cli.outcomes import ExitCode
from tsukiji.cli.output import AsJson, note, print_json, print_records

PROGRAM: Final = "tsukiji.ingest.packages.verify"


class Check(BaseModel):
    check: str
    ok: bool | None
    detail: str


class Verdict(BaseModel):
    path: str
    ok: bool
    checks: list[Check]


class VerifierFailed(OSError):
    """The process that was to look at the package ended without a verdict; the message is its last line."""


def verify(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A package: the zip, or its folder.")],
    as_json: AsJson = False,
) -> None:
    """Check a package's hashes, formats and weights, and run it on its example images. Needs no service."""
    verdict = look(path)
    if as_json:
        print_json(verdict)
    else:
        columns: dict[str, Callable[[Check], object]] = {
            "check": lambda found: found.check,
            "": lambda found: {True: "ok", False: "PROBLEM", None: "not done"}[found.ok],
            "found": lambda found: found.detail,
        }
        print_records(verdict.checks, columns, as_json)
        if verdict.ok and any(found.ok is None for found in verdict.checks):
            note("No errors, but not everything could be checked.", style="yellow")
    if not verdict.ok:
        raise typer.Exit(ExitCode.OTHER)


def look(path: Path) -> Verdict:
    """Return what the verifier finds.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        VerifierFailed: it gave no verdict.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist.")
    ended = subprocess.run([sys.executable, "-m", PROGRAM, str(path)], capture_output=True, text=True, check=False)
    if not ended.stdout:
        raise VerifierFailed((ended.stderr.strip() or "it ended without a message").splitlines()[-1])
    return Verdict.model_validate_json(ended.stdout)
