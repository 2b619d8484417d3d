"""A whole service whose inference worker is killed by one certain picture: `python -m devtools.poisoned_service up`.

The supervisor is the real one; only its inference worker comes through this file, which kills it where it decodes.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import worker.inference.batch_inference
from devtools.servers import wait_until
from tsukiji import Client
from worker import supervisor
from worker.__main__ import main
from worker.supervisor import Child

ROOT = Path(__file__).parents[2]
POISON = "POISON_SHA256"
ATTEMPTS = 3


@contextmanager
def poisoned_service(folder: Path, poison: Path) -> Iterator[Client]:
    """Yield a client of a service with one inference worker, which the picture `poison` kills."""
    announced = folder / "announced.json"
    mine = {
        POISON: hashlib.sha256(poison.read_bytes()).hexdigest(),
        "TSUKIJI_DATA_DIR": str(folder / "data"),
        "TSUKIJI_API_PORT": "0",
        "TSUKIJI_TRAINING_WORKERS": "0",
        "TSUKIJI_JOBS_MAX_ATTEMPTS": str(ATTEMPTS),
    }
    with (folder / "service.log").open("wb") as log:
        service = subprocess.Popen(
            [sys.executable, "-m", "devtools.poisoned_service", "up", "--announce", str(announced)],
            cwd=ROOT,
            env=os.environ | mine,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        if not wait_until(lambda: announced.exists() or service.poll() is not None, seconds=120):
            raise RuntimeError("the service did not start")
        told = json.loads(announced.read_text())
        with Client(told["url"], told["api_key"]) as client:
            yield client
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(60)


class PoisonedChild(Child):
    def start(self):
        if self.name == "infer":
            self.arguments = ["devtools.poisoned_service", *self.arguments[1:]]
        super().start()


def deadly(decode):
    def decode_or_die(data, *arguments, **options):
        if hashlib.sha256(data).hexdigest() == os.environ[POISON]:
            os.kill(os.getpid(), signal.SIGKILL)
        return decode(data, *arguments, **options)

    return decode_or_die


if __name__ == "__main__":
    supervisor.Child = PoisonedChild
    worker.inference.batch_inference.decoded = deadly(worker.inference.batch_inference.decoded)
    sys.exit(main())
