"""A client of LitServe: many requests at once, each on a connection that is kept."""

import base64
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from bench.throughput.peers.answering import answer, package_folder
from devtools.servers import free_port

CALLERS: Final = 64
"""Two batches of the server: the next is there when one is done."""
READY_SECONDS: Final = 300
ANSWER_SECONDS: Final = 600


class Line(threading.local):
    """One connection for each thread."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)

    def call(self, file: Path) -> int:
        body = json.dumps({"image_data": base64.b64encode(file.read_bytes()).decode()})
        self.connection.request("POST", "/predict", body, {"content-type": "application/json"})
        found: dict[str, int] = json.loads(self._body())
        return found["output"]

    def is_ready(self) -> bool:
        try:
            self.connection.request("GET", "/health")
            return self._body() == b"ok"
        except OSError:
            self.connection.close()
            return False

    def _body(self) -> bytes:
        response = self.connection.getresponse()
        body = response.read()
        if response.status not in {200, 503}:
            raise RuntimeError(f"LitServe answered {response.status}: {body[:300]!r}")
        return body


def classify(pool: ThreadPoolExecutor, line: Line, files: Sequence[Path]) -> dict[str, float]:
    began = time.perf_counter()
    done = len(list(pool.map(line.call, files)))
    return {"seconds": time.perf_counter() - began, "images": done}


def wait_for(line: Line, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not line.is_ready():
        if server.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("LitServe did not start")
        time.sleep(0.1)


def main() -> None:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.throughput.peers.litserve_server", str(package_folder()), str(port)],
        stdout=sys.stderr.fileno(),
    )
    try:
        line = Line(port)
        wait_for(line, server)
        with ThreadPoolExecutor(CALLERS) as pool:
            answer(lambda files: classify(pool, line, files))
    finally:
        server.send_signal(signal.SIGINT)  # its way to stop in good order
        server.wait()


if __name__ == "__main__":
    main()
