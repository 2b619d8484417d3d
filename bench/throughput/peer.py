"""Starts a peer's program, sends it files, and cleans up."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil
import torch

from tsukiji.cli.embedded import tail
from tsukiji.cli.programs import programs_folder
from tsukiji.vision.execution_plan import best_precision

MODULES: Final = "bench.throughput.peers"
STOP_SECONDS: Final = 30
EXTRA: Final = ("litserve", "ray")
"""Peers that are named like a library of the extra `bench`."""
LOWER: Final = "_bfloat16"
"""Of a peer's name: it computes in bfloat16, where the processor can."""
SETTINGS: Final = {"forward": {"OMP_WAIT_POLICY": "PASSIVE"}, "fastai_bfloat16": {"TSUKIJI_BENCH_BFLOAT16": "1"}}
"""Our engine as our workers have it; the others are left as they come."""


def is_possible(name: str) -> bool:
    """Return whether its library is installed, and the processor has its precision."""
    able = not name.endswith(LOWER) or best_precision(torch.device("cpu")) == "bfloat16"
    return able and (name not in EXTRA or find_spec(name) is not None)


class Peer:
    """`python -m bench.throughput.peers.NAME PACKAGE` as a context manager."""

    def __init__(self, name: str, package: Path, scratch: Path, precision: str = "auto") -> None:
        """`precision` is that of the service, for the peer that is our own engine."""
        program = name.removesuffix(LOWER)
        self._command = [sys.executable, "-m", f"{MODULES}.{program}", str(package)]
        self._environment = os.environ | SETTINGS.get(name, {}) | {"TSUKIJI_INFERENCE_PRECISION": precision}
        self._log = scratch / f"{name}.log"

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=programs_folder(),
                stdin=pipe,
                stdout=pipe,
                stderr=log,
                text=True,
                env=self._environment,
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        started = self._tree()
        self._process.stdin.close()  # type: ignore[union-attr]
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        for process in psutil.wait_procs(started, timeout=1)[1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]

    def classify(self, files: Sequence[Path]) -> dict[str, Any]:
        """Let it classify files; returns what it tells, `seconds` among it.

        Raises:
            RuntimeError: it died; the message ends with the end of its log.
        """
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps([str(file) for file in files]) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._command[2]} died\n{tail(self._log)}")
        found: dict[str, Any] = json.loads(line)
        return found

    def _tree(self) -> list[psutil.Process]:
        """Return the program, and all that it has started."""
        with suppress(psutil.NoSuchProcess):
            program = psutil.Process(self._process.pid)
            return [program, *program.children(recursive=True)]
        return []
