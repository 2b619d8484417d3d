"""The servers that tests talk to: found by their variable, or started where their binary is. Knows no test.

TSUKIJI_TEST_POSTGRES_URL   an own server is started where there is none at that place
TSUKIJI_TEST_REDIS_URL      an own server is started wherever `redis-server` is installed
TSUKIJI_TEST_RABBITMQ_URL   never started
"""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import kombu
import psycopg
import redis

from tsukiji.jobs import Queue
from tsukiji.kernel.queue import task_name

START_SECONDS = 30


@dataclass(frozen=True)
class Service:
    name: str
    variable: str
    default_url: str

    @property
    def url(self) -> str:
        return os.environ.get(self.variable) or self.default_url


class Unavailable(Exception):
    """There is no such server, and none could be started; the message names the variable to set."""

    def __init__(self, service: Service) -> None:
        super().__init__(f"{service.name} is not there; set {service.variable} to the URL of one")


POSTGRES = Service("PostgreSQL", "TSUKIJI_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
REDIS = Service("Redis", "TSUKIJI_TEST_REDIS_URL", "redis://127.0.0.1:6379/15")
RABBITMQ = Service("RabbitMQ", "TSUKIJI_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")


@contextmanager
def postgres_database() -> Iterator[str]:
    """Make a database of its own name, so that runs side by side do not meet; drop it at the end."""
    with _postgres_server() as server:
        name = f"tsukiji_test_{secrets.token_hex(6)}"
        _execute(server, f'CREATE DATABASE "{name}"')
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def redis_server() -> Iterator[str]:
    """Start an empty server; without the binary, take the one of the variable, which is emptied."""
    binary = shutil.which("redis-server")
    if binary:
        port = free_port()
        url = f"redis://127.0.0.1:{port}/0"
        with tempfile.TemporaryDirectory(prefix="tsukiji-redis-") as folder:
            command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
            with _running(command, lambda: ping_redis(url)):
                yield url
    elif ping_redis(REDIS.url):
        with redis.Redis.from_url(REDIS.url) as client:
            client.flushdb()
        yield REDIS.url
    else:
        raise Unavailable(REDIS)


@contextmanager
def rabbitmq_server() -> Iterator[str]:
    """Take the server of the variable; our queues there are deleted before and after."""
    if not _ping_rabbitmq(RABBITMQ.url):
        raise Unavailable(RABBITMQ)
    _delete_queues(RABBITMQ.url)
    yield RABBITMQ.url
    _delete_queues(RABBITMQ.url)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_until(happened: Callable[[], bool], seconds: float = START_SECONDS) -> bool:
    """Look again and again, for at most `seconds`; return whether it happened."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def _postgres_server() -> Iterator[str]:
    if _ping_postgres(POSTGRES.url):
        yield POSTGRES.url
        return
    binaries = _postgres_binaries()
    if binaries is None:
        raise Unavailable(POSTGRES)
    folder = Path(tempfile.mkdtemp(prefix="tsukiji-postgres-"))
    try:
        yield from _run_postgres(binaries, folder)
    finally:
        shutil.rmtree(folder)


def _run_postgres(binaries: Path, folder: Path) -> Iterator[str]:
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    data = folder / "data"
    initdb = [*as_user, str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    port = free_port()
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "port": port}
    flags = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
    with _running([*as_user, str(binaries / "postgres"), "-D", str(data), *flags], lambda: _ping_postgres(url), folder):
        yield url


def _postgres_binaries() -> Path | None:
    """Return the folder of `initdb`: on the PATH, or where Debian hides it; None if it is missing."""
    if os.geteuid() == 0 and not shutil.which("runuser"):
        return None
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = shutil.which("initdb") or (candidates and str(candidates[-1]))
    return Path(found).parent if found else None


@contextmanager
def _running(command: list[str], ready: Callable[[], bool], folder: Path | None = None) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    try:
        if not wait_until(lambda: ready() or process.poll() is not None) or process.poll() is not None:
            raise RuntimeError(f"{command} did not start")
        yield
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def _ping_postgres(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def ping_redis(url: str) -> bool:
    with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def _ping_rabbitmq(url: str) -> bool:
    with kombu.Connection(url, connect_timeout=2) as connection:
        try:
            connection.connect()
        except (OSError, *connection.connection_errors):
            return False
    return True


def _delete_queues(url: str) -> None:
    with kombu.Connection(url) as connection, connection.channel() as channel:
        for queue in Queue:
            channel.queue_delete(task_name(queue))
