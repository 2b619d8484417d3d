"""A service of one's own for as long as a `with` block lasts. Knows how to start and stop it, not what it is for."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from tsukiji.cli.programs import data_folder, programs_folder
from tsukiji.client import Client
from tsukiji.kernel.parent_process import STOP_SIGNALS, heeded, watch_make

READY_SECONDS: Final = 90
STOP_SECONDS: Final = 60
POLL_SECONDS: Final = 0.1
KEPT: Final = ("TSUKIJI_WEIGHTS_", "TSUKIJI_TRAINING_", "TSUKIJI_INFERENCE_", "TSUKIJI_LOG_")
"""Settings of the caller that hold here too. All others say where the caller's own service is, which is left alone."""


EXACT: Final = {"TSUKIJI_INFERENCE_PRECISION": "float32"}
"""So that a batch says what the evaluation said, to the last picture: in bfloat16 one of hundreds may differ."""


class ServiceFailed(OSError):
    """The service did not start, or did not stop cleanly; the message ends with the end of its log."""


@contextmanager
def service(folder: Path) -> Iterator[Client]:
    """Start a service with its data in the empty `folder`, on a free port of this machine, and stop it at the end.

    Raises:
        ProgramsMissing: this installation holds the client alone.
        ServiceFailed: it did not start in time, or its exit status was not 0.
    """
    before = {number: signal.signal(number, _leave) for number in heeded()}
    watch_make(lambda: os.kill(os.getpid(), signal.SIGTERM))
    log = folder / "service.log"
    with log.open("wb") as output:
        child = start(folder, output.fileno())
    try:
        with connect(child, folder) as client:
            yield client
    finally:
        status = stop(child)
        for number, handler in before.items():
            signal.signal(number, handler)
    if status != 0:
        raise ServiceFailed(f"the service ended with status {status}\n{tail(log)}")


def _leave(number: int, _frame: FrameType | None) -> None:
    """End in good order when told to, or the service would be left behind. Once: told again, we are stopping it."""
    for heard in STOP_SIGNALS:
        signal.signal(heard, signal.SIG_IGN)
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


def start(folder: Path, output: int) -> "subprocess.Popen[bytes]":
    ours = {"TSUKIJI_DATA_DIR": str(folder / "data"), "TSUKIJI_API_PORT": "0", "TSUKIJI_API_HOST": "127.0.0.1"}
    ours["TSUKIJI_WEIGHTS_DIR"] = os.environ.get("TSUKIJI_WEIGHTS_DIR") or str(data_folder() / "weights")
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("TSUKIJI_") or name.startswith(KEPT)
    }
    return subprocess.Popen(
        [sys.executable, "-m", "worker", "up", "--watch-stdin", "--announce", str(folder / "announced.json")],
        cwd=programs_folder(),
        env={**EXACT, **inherited, **ours},
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        start_new_session=True,  # Ctrl-C is for us; we stop the service in good order
    )


def connect(child: "subprocess.Popen[bytes]", folder: Path) -> Client:
    """Wait for the announcement of the address and the first key."""
    announced = folder / "announced.json"
    deadline = time.monotonic() + READY_SECONDS
    while not announced.exists():
        if child.poll() is not None or time.monotonic() > deadline:
            raise ServiceFailed(f"the service did not start\n{tail(folder / 'service.log')}")
        time.sleep(POLL_SECONDS)
    told = json.loads(announced.read_text())
    return Client(told["url"], told["api_key"])


def stop(child: "subprocess.Popen[bytes]") -> int:
    """Stop the service, whose own children stop with it, and return its exit status."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
    try:
        return child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()
    finally:
        if child.stdin:
            child.stdin.close()


def tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
