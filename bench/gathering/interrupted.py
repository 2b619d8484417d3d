"""Upload of a folder by a client that is killed repeatedly: is anything lost, or sent again?

A proxy between client and service records which files were confirmed: those whose response reached the client
completely.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx2

from devtools.scripted_service import Asked
from tsukiji import Client

KILLS: Final = 10
COMMAND: Final = "from tsukiji.cli import main; main()"
WAIT_SECONDS: Final = 300
HOPS: Final = {"connection", "transfer-encoding", "content-length", "host", "keep-alive", "date", "server"}


class Watch:
    """What passed through the proxy."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.answered = 0
        self.resent: list[str] = []
        self._confirmed: set[str] = set()
        self._lock = threading.Lock()

    def coming(self, files: list[str]) -> None:
        with self._lock:
            self.resent += [name for name in files if name in self._confirmed]

    def confirmed(self, files: list[str]) -> None:
        with self._lock:
            self._confirmed.update(files)
            self.answered += bool(files)


@contextmanager
def proxy(target: str) -> Iterator[tuple[str, Watch]]:
    watch = Watch(target)
    forward = httpx2.Client(timeout=120, trust_env=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            files = sent_files(self.command, self.path, headers, body)
            watch.coming(files)
            kept = {name: value for name, value in headers.items() if name not in HOPS}
            answer = forward.request(self.command, watch.target + self.path, content=body, headers=kept)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in HOPS | {"content-encoding"}:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)
            self.wfile.flush()
            if answer.is_success:
                watch.confirmed(files)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A killed client is expected."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", watch
    finally:
        server.shutdown()
        server.server_close()
        forward.close()


def sent_files(method: str, path: str, headers: dict[str, str], body: bytes) -> list[str]:
    """Return the names of the pictures in a request; none for other requests."""
    if method != "POST" or not path.endswith("/images"):
        return []
    return [name for _, name, _ in Asked(method, path, {}, headers, body).parts if name]


def measure(client: Client, archive: Path, service: Path, seed: int = 0) -> dict[str, Any]:
    """Send the archive's files as a folder, with `KILLS` kills at random moments; then let a last client finish.

    Args:
        client: of the service.
        archive: a zip of class folders.
        service: the folder of the service, which has its key.
        seed: of the moments.
    """
    folder, chance = service / "interrupted", random.Random(seed)
    key = json.loads((service / "announced.json").read_text())["api_key"]
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
        names = file.namelist()
    kills = 0
    with proxy(client.url) as (url, watch):
        environment = os.environ | {"TSUKIJI_URL": url, "TSUKIJI_API_KEY": key}
        for _ in range(KILLS):
            kills += kill_one(start(folder, environment), watch, chance)
        last = start(folder, environment)
        if last.wait(WAIT_SECONDS) != 0:
            raise RuntimeError("the last import failed")
        stored = [picture.name for picture in client.datasets.get("interrupted").pictures()]
        return {
            "interrupted_lost": len(set(names) - set(stored)),
            "interrupted_twice": len(stored) - len(set(stored)),
            "interrupted_resent": len(watch.resent),
            "interrupted_kills": kills,
            "interrupted_images": len(names),
        }


def start(folder: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", COMMAND, "datasets", "import", str(folder), "--name", "interrupted"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)


def kill_one(process: "subprocess.Popen[bytes]", watch: Watch, chance: random.Random) -> bool:
    """Kill the client shortly after it had a request or two confirmed; False if it finished before."""
    enough, deadline = watch.answered + chance.randint(0, 2), time.monotonic() + WAIT_SECONDS
    while watch.answered < enough and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(chance.uniform(0, 0.3))
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return alive
