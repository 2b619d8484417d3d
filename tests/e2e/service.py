"""`tsukiji up` as a process, with a client of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from devtools.servers import wait_until
from tsukiji import Client

ROOT = Path(__file__).parents[2]


class Service:
    """`python -m worker up` on a data folder that outlives it."""

    def __init__(self, folder: Path, stack: dict[str, str], key: str | None = None):
        self.data = folder / "data"
        self.announced = folder / "announced.json"
        self.announced.unlink(missing_ok=True)
        self.log = (folder / "service.log").open("ab")
        mine = {"TSUKIJI_DATA_DIR": str(self.data), "TSUKIJI_API_PORT": "0"}
        quick = {"TSUKIJI_JOBS_LEASE_SECONDS": "6", "TSUKIJI_JOBS_BEAT_SECONDS": "2", "TSUKIJI_TRAINING_WORKERS": "0"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "worker", "up", "--announce", str(self.announced)],
            cwd=ROOT,
            env=os.environ | mine | quick | stack,
            stdout=subprocess.PIPE,
            stderr=self.log,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert wait_until(lambda: self.announced.exists() or self.process.poll() is not None, seconds=120)
        told = json.loads(self.announced.read_text())
        self.key = told["api_key"] or key
        self.client = Client(told["url"], self.key)

    def descendants(self):
        """Return the pids of every process below ours."""
        table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        children = {}
        for line in table.splitlines():
            pid, parent = map(int, line.split())
            children.setdefault(parent, []).append(pid)
        found, todo = [], [self.process.pid]
        while todo:
            below = children.get(todo.pop(), [])
            found += below
            todo += below
        return found

    def end(self, number, seconds=40):
        """Send a signal; returns the exit status and what was printed."""
        self.client.close()
        self.process.send_signal(number)
        printed, _ = self.process.communicate(timeout=seconds)
        self.log.close()
        return self.process.returncode, printed
