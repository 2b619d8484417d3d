"""The servers of a service, started by us if possible, so that they may be killed.

`embedded` has none: everything is files. `servers` is PostgreSQL and Redis, `rabbitmq` is PostgreSQL and RabbitMQ.
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import kombu
import psycopg
import redis
import structlog

from devtools.servers import RABBITMQ, free_port, ping_redis, postgres_database, rabbitmq_server, wait_until
from tsukiji.jobs import Queue
from tsukiji.kernel.queue import task_name

log = structlog.get_logger(__name__)

QUIET: Final = subprocess.DEVNULL
STOP_SECONDS: Final = 20
PEER_QUEUE: Final = "celery"
"""Of Celery itself: what loses our messages loses a peer's too."""


class Broker(Protocol):
    url: str
    restartable: bool

    def lose(self) -> None:
        """Lose every message."""

    def restart(self, away: float) -> None:
        """End every connection; stay down for this many seconds, if possible."""


@dataclass(frozen=True)
class Place:
    """Where a server runs."""

    address: str = "127.0.0.1"
    prefix: tuple[str, ...] = ()
    """Before its command."""


HERE: Final = Place()


@dataclass(frozen=True)
class Servers:
    places: dict[str, str] = field(default_factory=dict)
    """Environment variables with their addresses."""
    broker: Broker | None = None
    postgres: "Postgres | None" = None
    """None if the database is a file, or on a server that we may not restart."""


@contextmanager
def servers(kind: str, place: Place = HERE) -> Iterator[Servers]:
    with ExitStack() as cleanup:
        if kind == "embedded":
            yield Servers()
            return
        postgres = Postgres.create(place)
        if postgres is None:
            log.warning("no_own_postgres", then="connections are cut where it would be restarted")
            database_url = cleanup.enter_context(postgres_database())
        else:
            cleanup.callback(postgres.remove)
            postgres.start()
            database_url = postgres.url
        broker: Broker
        if kind == "rabbitmq":
            broker = RabbitMQ(cleanup.enter_context(rabbitmq()))
        else:
            broker = Redis(place)
            cleanup.callback(broker.kill)
        yield Servers({"TSUKIJI_DATABASE_URL": database_url, "TSUKIJI_BROKER_URL": broker.url}, broker, postgres)


class Redis:
    """Our own Redis, without persistence."""

    restartable = True

    def __init__(self, place: Place = HERE) -> None:
        port = free_port()
        self.url = f"redis://{place.address}:{port}/0"
        options = ["--port", str(port), "--bind", place.address, "--protected-mode", "no", "--appendonly", "no"]
        self._command = [*place.prefix, "redis-server", *options, "--save", ""]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdin=QUIET, stdout=QUIET, stderr=QUIET, start_new_session=True)
        if not wait_until(lambda: ping_redis(self.url)):
            raise RuntimeError("redis-server did not start")

    def lose(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def restart(self, away: float) -> None:
        self.kill()
        time.sleep(away)
        self.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class RabbitMQ:
    """A virtual host on a shared server: its queues can be emptied and its connections closed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._host = urlsplit(url).path.removeprefix("/")
        self.restartable = self._host.startswith("tsukiji")

    def lose(self) -> None:
        with kombu.Connection(self.url) as connection:
            for name in (*map(task_name, Queue), PEER_QUEUE):
                try:
                    connection.default_channel.queue_purge(name)
                except connection.channel_errors:  # not created by a worker yet; the error closed the channel
                    connection.close()

    def restart(self, away: float) -> None:
        rabbitmqctl("close_all_connections", "--vhost", self._host, "restart")


@contextmanager
def rabbitmq() -> Iterator[str]:
    """Create a virtual host; without `rabbitmqctl`, use the default one's queues."""
    host = f"tsukiji-faults-{secrets.token_hex(6)}"
    user = urlsplit(RABBITMQ.url).username or "guest"
    try:
        rabbitmqctl("add_vhost", host)
    except (OSError, subprocess.CalledProcessError):
        log.warning("no_own_vhost", then="connections to the broker are never closed")
        with rabbitmq_server() as url:
            yield url
        return
    try:
        rabbitmqctl("set_permissions", "--vhost", host, user, ".*", ".*", ".*")
        yield urlsplit(RABBITMQ.url)._replace(path=f"/{host}").geturl()
    finally:
        rabbitmqctl("delete_vhost", host)


def rabbitmqctl(*arguments: str) -> None:
    subprocess.run(["rabbitmqctl", "--quiet", *arguments], check=True, stdout=QUIET, stderr=QUIET)


class Postgres:
    """Our own cluster in a temporary folder. Commits are synced to disk, as a restart must keep them."""

    def __init__(self, binaries: Path, user: str | None, place: Place) -> None:
        self._binaries, self._user = binaries, user
        self._folder = Path(tempfile.mkdtemp(prefix="tsukiji-postgres-"))
        if user:
            shutil.chown(self._folder, user, user)
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync").wait()
        with (data / "pg_hba.conf").open("a") as file:
            file.write("host all all samenet trust\n")
        port = free_port()
        self.url = f"postgresql://postgres@{place.address}:{port}/postgres"
        options = {"listen_addresses": place.address, "unix_socket_directories": "", "port": port}
        flags = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        self._prefix = place.prefix
        self._server = ["postgres", "-D", str(data), *flags]

    @classmethod
    def create(cls, place: Place = HERE) -> "Postgres | None":
        """Return a cluster, not started yet; None without binaries, or a user to run them."""
        places = [Path(found).parent] if (found := shutil.which("initdb")) else []
        places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
        user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        return cls(places[-1], user, place) if places else None

    def start(self) -> None:
        self._process = self._run(*self._server, prefix=self._prefix)
        if not wait_until(self._answers):
            raise RuntimeError("postgres did not start")

    def restart(self, away: float) -> None:
        """Do what `pg_ctl restart -m immediate` does: crash, and replay the log at the start."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(STOP_SECONDS)
        time.sleep(away)
        self.start()

    def remove(self) -> None:
        if hasattr(self, "_process"):
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(STOP_SECONDS)
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Run one of its programs as its user; a prefix, such as `ip netns exec`, needs root until then."""
        user = self._user if not prefix else None
        change = ("setpriv", "--reuid", self._user, "--regid", self._user, "--clear-groups") if self._user else ()
        return subprocess.Popen(
            [*prefix, *(change if prefix else ()), str(self._binaries / program), *arguments],
            cwd=self._folder,
            stdin=QUIET,
            stdout=QUIET,
            stderr=QUIET,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
