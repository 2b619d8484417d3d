"""`tsukiji up`: the whole service on one machine, in the foreground: starts, restarts and stops its programs.

SIGINT, SIGTERM and SIGHUP stop everything. Children get SIGTERM; they also watch standard input, so that not even
kill -9 on us leaves one behind.
"""

import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import structlog

from db import keys
from db.jobs import leases, workers
from db.session import Database, DatabaseUnavailable
from db.upgrade import upgrade
from tsukiji.errors import Conflict
from tsukiji.jobs import Queue
from tsukiji.kernel.browser import ADDRESS_FILE, open_browser, sign_in_path
from tsukiji.kernel.parent_process import heeded, watch_make
from tsukiji.kernel.settings import Settings
from worker.gpus import inference_places, shared_device
from worker.services import WORKER_VARIABLE, name_worker

log = structlog.get_logger(__name__)

ROOT = Path(__file__).parent.parent
READY_SECONDS = 60
POLL_SECONDS = 0.1
SOON_SECONDS = 5
"""A child that lives less long than this is restarted after a pause that grows up to `PAUSE_SECONDS`."""
PAUSE_SECONDS = 30


LAST_LINES = 20


ELSEWHERE = "use another folder: `tsukiji up --data-dir FOLDER --port 0`."
HOW_TO_GET_A_KEY = (
    "There is no API key yet, and keys are never logged. Create one: "
    "TSUKIJI_DATA_DIR={folder} tsukiji keys create --name NAME\n"
)


class AlreadyRunning(Conflict):
    code = "already_running"
    title = "Another Tsukiji is using this data folder"


def up(settings: Settings, announce: Path | None, *, verbose: bool = True, browser: bool = False) -> int:
    """Run everything until SIGINT, SIGTERM or SIGHUP; returns the exit status.

    Unless `verbose`, the programs log into the data folder, and only problems are printed.
    """
    os.umask(0o077)  # pictures and hashes of keys: everything written is for this user only
    stop = threading.Event()
    for number in heeded():
        signal.signal(number, lambda *_: stop.set())
    watch_make(stop.set)
    try:
        with single_instance(settings):
            if verbose:
                return run(settings, announce, stop, browser=browser)
            with open_log(settings) as file:
                return run(settings, announce, stop, file, browser=browser)
    except AlreadyRunning as error:
        sys.stderr.write(f"{error.title}: {error.detail}\n{error.hint}\n")
        return 1


def open_log(settings: Settings) -> BinaryIO:
    """Open the programs' log file; the previous one is kept beside it."""
    path = settings.data.dir.resolve() / "logs" / "tsukiji.log"
    path.parent.mkdir(exist_ok=True)
    if path.exists():
        path.replace(path.with_suffix(".log.1"))
    path.touch(mode=0o600)
    return path.open("ab")


def run(
    settings: Settings,
    announce: Path | None,
    stop: threading.Event,
    output: BinaryIO | None = None,
    *,
    browser: bool = False,
) -> int:
    clear_leftovers(settings)
    has_keys = prepare(settings)
    first_key = None if has_keys or not (announce or sys.stdout.isatty()) else create_key(settings)
    say_how = HOW_TO_GET_A_KEY.format(folder=settings.data.dir.resolve()) if not has_keys and not first_key else ""
    with tempfile.TemporaryDirectory(prefix="tsukiji-up-") as folder:
        address = Path(folder) / "address.json"
        children = [Child("api", ["api", "--watch-stdin", "--announce", str(address)]), *worker_children(settings)]
        for child in children:
            child.output = output
        try:
            for child in children:
                child.start()
            url = wait_for_address(address, children[0], stop)
            if url is not None:
                greet(settings, url, first_key, announce, output, browser=browser)
                sys.stdout.write(say_how)
                sys.stdout.flush()
            rollcall = time.monotonic()
            while not stop.wait(POLL_SECONDS):
                for child in children:
                    child.revive(settings)
                if time.monotonic() - rollcall > settings.jobs.beat_seconds:
                    rollcall = time.monotonic()
                    call_roll(settings, children[1:])
        finally:
            (settings.data.dir / ADDRESS_FILE).unlink(missing_ok=True)
            stop_all(children, settings.jobs.stop_seconds)
    if url is not None or stop.is_set():
        return 0
    if output:
        end = b"".join(Path(output.name).read_bytes().splitlines(keepends=True)[-LAST_LINES:])
        sys.stderr.write(f"Tsukiji did not start. The end of its log, {output.name}:\n{end.decode(errors='replace')}")
    return 1


def worker_children(settings: Settings) -> "Iterator[Child]":
    """Yield a worker of each queue and the dispatcher; on several GPUs an inference worker for each."""
    shared = shared_device(settings)
    for role in (*Queue, "dispatcher"):
        places = inference_places(settings.inference.device) if role == Queue.INFER else [{}]
        for number, variables in enumerate(places, 1):
            name = f"{role}-{number}" if len(places) > 1 else str(role)
            yield Child(name, ["worker", str(role), "--watch-stdin"], variables | shared)


@contextmanager
def single_instance(settings: Settings) -> Iterator[None]:
    """Hold the data folder's lock: two services on one embedded database would corrupt each other's work.

    Raises:
        AlreadyRunning: another process holds it.
    """
    folder = settings.data.dir.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if open_to_others := stat.S_IMODE(folder.stat().st_mode) & 0o077:
        log.warning("data_folder_open", folder=str(folder), mode=f"{open_to_others:03o}", hint=f"chmod -R go= {folder}")
    with (folder / "lock").open("a+") as file:  # must not be truncated before we hold the lock
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise already_running(folder, file.read()) from error
        file.truncate(0)
        file.write(f"{os.getpid()} {datetime.now().astimezone().isoformat(timespec='seconds')}\n")
        file.flush()
        yield


def already_running(folder: Path, holder: str) -> AlreadyRunning:
    """Return the error that names the holder of the folder, according to the lock file."""
    pid, _, since = holder.strip().partition(" ")
    if not (pid and since):
        return AlreadyRunning(f"{folder} is in use.", hint=f"Stop the other one first, or {ELSEWHERE}")
    return AlreadyRunning(
        f"{folder} is in use by process {pid}, since {since}.",
        hint=f"Use that one; or stop it with `kill {pid}`, which takes some seconds; or {ELSEWHERE}",
    )


def clear_leftovers(settings: Settings) -> None:
    """Delete temporary files of killed programs: we hold the lock, so they are not in use.

    A separate cache folder may be shared with other machines, and is left alone.
    """
    if settings.storage.cache_dir is None:
        for name in ("work", "uploads"):
            shutil.rmtree(settings.cache_dir / name, ignore_errors=True)


def prepare(settings: Settings) -> bool:
    """Migrate the database; returns whether there is a key."""
    upgrade(settings)
    database = Database(settings)
    try:
        with database.transaction() as session:
            if settings.database.url is None:
                leases.release(session)  # we hold the lock, so the owners of these leases are dead
            return bool(keys.all_keys(session))
    finally:
        database.close()


def create_key(settings: Settings) -> str:
    database = Database(settings)
    try:
        with database.transaction() as session:
            return keys.create(session, "first key")[1]
    finally:
        database.close()


def make_link(settings: Settings) -> str:
    """Return the token of a single-use sign-in link to the page."""
    database = Database(settings)
    try:
        with database.transaction() as session:
            return keys.local_link(session, settings.api.sign_in_link_minutes)
    finally:
        database.close()


@dataclass
class Child:
    """One program of the service."""

    name: str
    arguments: list[str]
    variables: dict[str, str] = field(default_factory=dict)
    """Of its environment, beside ours."""
    process: subprocess.Popen[bytes] | None = None
    worker: str = ""
    started: float = 0
    restart_at: float | None = None
    pause: float = field(default=0.5)
    silent_since: float | None = None
    looked: float = 0
    """When it was last checked."""
    output: BinaryIO | None = None
    """Its log; our own standard error if None."""

    def start(self) -> None:
        self.worker = f"{name_worker(self.name)}:{time.time_ns() // 1_000_000}"
        output = (self.output or sys.stderr).fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=output,  # ours carries the address and the key
            stderr=output,
            start_new_session=True,  # Ctrl-C in the terminal is for us; we stop the children
            env=os.environ | self.variables | {WORKER_VARIABLE: self.worker},
        )
        self.started = time.monotonic()
        self.restart_at = self.silent_since = None

    def revive(self, settings: Settings) -> None:
        """Restart the program if it has died, and release its leases."""
        if self.process is None or self.process.poll() is None:
            return
        if self.restart_at is None:
            log.error("program_died", program=self.name, status=self.process.returncode)
            self.pause = min(PAUSE_SECONDS, self.pause * 2) if time.monotonic() - self.started < SOON_SECONDS else 0.5
            self.restart_at = time.monotonic() + self.pause
            release(settings, self.worker)
        elif time.monotonic() >= self.restart_at:
            self.start()

    def check_in(self, *, present: bool, patience: float) -> None:
        """Kill the program, for `revive` to restart it, if it has not reported for long: it hangs.

        If the last check is longer ago than that, we were suspended, and so may have been the program.
        """
        now = time.monotonic()
        young, slept = now - self.started < READY_SECONDS, now - self.looked > patience
        self.looked = now
        if present or young or slept or self.process is None or self.process.poll() is not None:
            self.silent_since = None
            return
        self.silent_since = self.silent_since or now
        if now - self.silent_since > patience:
            log.error("program_silent", program=self.name)
            os.killpg(self.process.pid, signal.SIGKILL)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def end(self, deadline: float) -> None:
        """Wait until the program has ended; after the deadline kill it with all of its own children."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("program_killed", program=self.name)
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()


def call_roll(settings: Settings, workers_started: list[Child]) -> None:
    """Find workers that are alive but do not report, such as one that hangs in all its threads.

    This takes checks throughout a lease by this process's clock: after the machine has slept, all seem silent briefly.
    """
    patience = settings.jobs.lease_seconds
    database = Database(settings)
    try:
        with database.reading() as session:
            present = {row.worker for row in workers.present(session, 2 * patience)}
    except DatabaseUnavailable as error:
        log.warning("rollcall_failed", error=str(error.orig))
        return
    finally:
        database.close()
    for child in workers_started:
        child.check_in(present=child.worker in present, patience=patience)


def release(settings: Settings, worker: str) -> None:
    """End a dead worker's leases, so that its work need not wait. If the database is down, they expire anyway."""
    database = Database(settings)
    try:
        with database.transaction() as session:
            leases.release(session, worker)
            workers.leave(session, worker)
    except DatabaseUnavailable as error:
        log.warning("release_failed", worker=worker, error=str(error.orig))
    finally:
        database.close()


def stop_all(children: list[Child], stop_seconds: float) -> None:
    for child in children:
        child.stop()
    deadline = time.monotonic() + 2 * stop_seconds
    for child in children:
        child.end(deadline)


def wait_for_address(path: Path, api: Child, stop: threading.Event) -> str | None:
    """Return the API's address once it listens; None if it ends instead, or we are stopped."""
    deadline = time.monotonic() + READY_SECONDS
    while not path.exists():
        dead = api.process is None or api.process.poll() is not None
        if dead or time.monotonic() > deadline:
            log.error("api_not_ready")
            return None
        if stop.wait(POLL_SECONDS):
            return None
    url: str = json.loads(path.read_text())["url"]
    return url


def greet(
    settings: Settings,
    url: str,
    first_key: str | None,
    announce: Path | None,
    output: BinaryIO | None,
    *,
    browser: bool,
) -> None:
    """Print the service's address, store it for `tsukiji open`, and open the page if a person is present."""
    (settings.data.dir / ADDRESS_FILE).write_text(url)
    link = url + sign_in_path(make_link(settings)) if sys.stdout.isatty() else None
    tell(url, first_key, announce, output.name if output else None, link)
    if browser and link:
        open_browser(link)


def tell(
    url: str, first_key: str | None, announce: Path | None, logged: str | None = None, link: str | None = None
) -> None:
    """Print the service's address. A key is shown only once, and only on a terminal: others may read logs."""
    lines = [f"Tsukiji is up: {url}/"]
    if link:
        lines.append(f"Open the page signed in (works once, `tsukiji open` makes another): {link}")
    if first_key and sys.stdout.isatty():
        lines.append(f"API key for programs (shown once): {first_key}")
    lines += [f"Log: {logged} (`tsukiji up --verbose` shows it)"] if logged else []
    sys.stdout.write("\n".join([*lines, "Ctrl-C stops everything.", ""]))
    sys.stdout.flush()
    if announce:
        draft = announce.with_name(f".{announce.name}.part")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps({"url": url, "api_key": first_key}))
        draft.replace(announce)
