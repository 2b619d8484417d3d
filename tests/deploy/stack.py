"""The services of docker-compose.yml as processes of this machine: their own commands and checks, in Compose's order.

What a container would have of its own is replaced: folders lie in one folder, the port is a free one, and database and
broker are those that the variables name.
"""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from devtools.servers import free_port, wait_until
from tests.deploy import compose
from tests.deploy.compose import ROOT, Image

HEALTHY_SECONDS = 180
STOPPED_SECONDS = 5
FOLDERS = re.compile(r"(?<![\w.])/(data|cache|weights|tmp)\b")


@dataclass
class Program:
    name: str
    service: dict[str, Any]
    environment: dict[str, str]
    log: Path
    replacements: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._native(self.service["command"]),
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # its children stay in its group, where they can be counted
            )

    def check(self) -> bool:
        """Run its health check."""
        return self.run(self.service["healthcheck"]["test"][1:]).returncode == 0

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command as `docker compose exec` would."""
        return subprocess.run(
            self._native(command),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def stop(self) -> int:
        """Wait for the end that SIGTERM asked for; return the exit status."""
        grace = int(self.service["stop_grace_period"].removesuffix("s"))
        assert self.process is not None
        try:
            return self.process.wait(grace)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} is still there after {grace} s\n{self.tail()}") from None

    def tail(self) -> str:
        return f"--- the end of {self.name}'s log\n" + "\n".join(self.log.read_text("utf-8").splitlines()[-40:])

    def _native(self, command: list[str]) -> list[str]:
        assert command[0] == "python"
        words = command[1:]
        for old, new in self.replacements.items():
            words = [word.replace(old, new) for word in words]
        return [sys.executable, *words]


class Stack:
    """A context manager: nothing that it started is alive after it."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.home = folder / "home"
        for name in ("home", "data", "cache", "weights", "tmp"):
            (folder / name).mkdir()
        self._folder = folder
        self._port = str(free_port())
        self.url = f"http://127.0.0.1:{self._port}"
        services = compose.fill_in(compose.read(), variables)["services"]
        self.programs = {name: self._program(name, service) for name, service in services.items() if "build" in service}

    def _program(self, name: str, service: dict[str, Any]) -> Program:
        image = Image(service["build"]["dockerfile"]).environment
        told = {key: value for key, value in service["environment"].items() if value is not None}
        given = {key: value for key, value in (image | told).items() if key != "PATH"}
        local = {key: FOLDERS.sub(rf"{self._folder}/\1", value) for key, value in given.items()}
        local |= {"HOME": str(self.home), "TSUKIJI_API_HOST": "127.0.0.1", "TSUKIJI_API_PORT": self._port}
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("TSUKIJI_", "PG", "XDG_"))}
        port = {":8000/": f":{self._port}/"}
        return Program(name, service, inherited | local, self._folder / f"{name}.log", port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def start(self) -> None:
        """Start everything in the order of `depends_on`, and return when every health check has passed."""
        waiting = dict(self.programs)
        while waiting:
            ready = [name for name, program in waiting.items() if not waiting.keys() & program.service["depends_on"]]
            assert ready, f"{list(waiting)} wait for each other"
            for name in ready:
                program = waiting.pop(name)
                program.start()
                if "healthcheck" not in program.service:
                    self._complete(program)
        for program in self.programs.values():
            if "healthcheck" in program.service:
                self._await_health(program)

    def stop(self) -> dict[str, int]:
        """Stop as `docker compose stop` does; return the exit status of each program."""
        living = [program for program in self.programs.values() if program.process and program.process.poll() is None]
        for program in living:
            program.process.send_signal(signal.SIGTERM)
        return {program.name: program.stop() for program in living}

    def survivors(self) -> list[int]:
        """Return the process groups that still have somebody in them after a moment."""
        groups = [process.pid for process in self._processes()]
        wait_until(lambda: not any(map(is_alive, groups)), STOPPED_SECONDS)
        return [group for group in groups if is_alive(group)]

    def tails(self) -> str:
        return "\n".join(program.tail() for program in self.programs.values() if program.process)

    def _processes(self) -> list[subprocess.Popen[bytes]]:
        return [program.process for program in self.programs.values() if program.process]

    def _complete(self, program: Program) -> None:
        assert program.process is not None
        assert program.process.wait(HEALTHY_SECONDS) == 0, program.tail()

    def _await_health(self, program: Program) -> None:
        deadline = time.monotonic() + HEALTHY_SECONDS
        while not program.check():
            assert program.process is not None
            assert program.process.poll() is None, f"{program.name} has ended\n{program.tail()}"
            assert time.monotonic() < deadline, f"{program.name} is not healthy\n{program.tail()}"
            time.sleep(2)  # each check is a process, which slows down the starting ones


def is_alive(group: int) -> bool:
    """Return whether a process group has members, including zombies."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
