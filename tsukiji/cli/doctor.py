"""`tsukiji doctor`: look at everything the main job needs, a line each, with a way out for what is missing."""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Final

import typer
from pydantic import BaseModel, ValidationError

from tsukiji import __version__, types
from tsukiji.cli import weights
from tsukiji.cli.outcomes import ExitCode, describe, key_hint
from tsukiji.cli.output import AsJson, note, print_records
from tsukiji.cli.programs import ProgramsMissing, programs_folder
from tsukiji.client import APIError, AuthenticationError, Client
from tsukiji.types import Recipe

SILENT_SECONDS: Final = 60
QUEUES: Final = ("train", "infer", "intake")
FREE_BYTES: Final = 2 * 2**30
NVIDIA_DRIVER: Final = Path("/proc/driver/nvidia")


class Finding(BaseModel):
    check: str
    ok: bool
    detail: str
    hint: str | None = None
    warning: bool = False
    """Well enough, but `hint` should be read."""


def doctor(as_json: AsJson = False) -> None:
    """Check Python, the service, the key, the workers, the disk, the programs, PyTorch and the pretrained weights."""
    findings = [python_version(), *service(), disk(), programs(), *pytorch(), *pretrained()]
    columns: dict[str, Callable[[Finding], object]] = {
        "check": lambda finding: finding.check,
        "": lambda finding: "PROBLEM" if not finding.ok else "warning" if finding.warning else "ok",
        "found": lambda finding: finding.detail,
    }
    print_records(findings, columns, as_json)
    for finding in findings:
        if (finding.warning or not finding.ok) and finding.hint:
            note(f"{finding.check}: {finding.hint}", style="yellow")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(ExitCode.OTHER)


def python_version() -> Finding:
    detail = f"{platform.python_version()}, tsukiji {__version__}"
    return Finding(check="python", ok=sys.version_info >= (3, 11), detail=detail, hint="Install Python 3.11 or later.")


def service() -> list[Finding]:
    """Look at the service, and where it answers at the key and the workers."""
    with Client(timeout=5, max_retries=0) as client:
        try:
            info = client.info()
        except AuthenticationError as error:
            key = Finding(check="key", ok=False, detail=error.detail, hint=key_hint())
            return [Finding(check="service", ok=True, detail=client.url), key]
        except (APIError, ValidationError, ValueError) as error:
            detail, _, hint = describe(error).partition("\n")
            return [Finding(check="service", ok=False, detail=detail, hint=hint or None)]
        found = Finding(check="service", ok=True, detail=f"{client.url}, version {info.version}")
        return [found, Finding(check="key", ok=True, detail="accepted"), workers(info)]


def workers(info: types.Info) -> Finding:
    """Each queue needs a worker that was heard of within a minute."""
    now = datetime.now(UTC)
    awake = [worker for worker in info.workers if (now - worker.seen_at).total_seconds() < SILENT_SECONDS]
    served = {queue for worker in awake for queue in worker.queue.split(",")}
    missing = [queue for queue in QUEUES if queue not in served]
    detail = ", ".join(f"{worker.queue} on {worker.device or 'cpu'}{fastest(worker)}" for worker in awake) or "none"
    hint = f"No worker serves {', '.join(missing)}; start one, or all with `tsukiji up`."
    return Finding(check="workers", ok=not missing, detail=detail, hint=hint)


def fastest(worker: types.WorkerInfo) -> str:
    """Return what a worker's processor is fastest with, if it was measured."""
    if not worker.engines:
        return ""
    best = worker.engines[0]
    return f" ({best.engine} {best.precision}, {best.images_per_second:.0f} images/s a core)"


def disk() -> Finding:
    place = Path(os.environ.get("TSUKIJI_DATA_DIR") or ".").absolute()
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / 2**30:.1f} GiB free at {existing}"
    return Finding(
        check="disk", ok=free >= FREE_BYTES, detail=detail, hint="Free some space; start with at least 2 GiB."
    )


def programs() -> Finding:
    """A client without the programs is whole; it only cannot run a service itself."""
    try:
        return Finding(check="programs", ok=True, detail=f"in {programs_folder()}")
    except ProgramsMissing:
        return Finding(check="programs", ok=True, detail="not installed: this is a client-only installation")


def pytorch() -> list[Finding]:
    """Tell which build of PyTorch is installed, and whether it is larger than this machine can use. Imports none."""
    try:
        found = version("torch")
    except PackageNotFoundError:
        return []
    cuda = any((package.name or "").startswith("nvidia-") for package in distributions())
    idle = cuda and sys.platform == "linux" and not NVIDIA_DRIVER.exists()
    hint = "This machine has no NVIDIA GPU: installed with UV_TORCH_BACKEND=cpu, PyTorch takes 3 GB less."
    build = "with CUDA" if cuda else "for CPUs"
    return [Finding(check="pytorch", ok=True, detail=f"{found}, {build}", hint=hint if idle else None, warning=idle)]


def pretrained() -> list[Finding]:
    """Look for the weights of the backbones in use: the recipe's own, and any that was brought to the weights folder.

    They matter where the workers run; an installation of the client alone has no say in them.
    """
    try:
        programs_folder()
        found = weights.run("ls")
    except ProgramsMissing:
        return []
    except weights.WeightsFailed as error:
        return [Finding(check="weights", ok=False, detail=str(error))]
    default = (Recipe().backbone, "torchvision")
    return [judge(one) for one in found if (one.backbone, one.weights) == default or one.place is not None]


def judge(found: types.BackboneWeights) -> Finding:
    check = f"weights {found.backbone}" + (" ra4" if found.weights == "ra4" else "")
    if found.place is not None:
        return Finding(check=check, ok=True, detail=f"{found.place}, {weights.size(found)}")
    hint = (
        f"A training downloads them if it may; `tsukiji weights fetch {found.backbone}` does so now. Without "
        "internet access, copy a file here and run `tsukiji weights add FILE`."
    )
    return Finding(check=check, ok=True, detail="not on this machine", hint=hint, warning=True)
