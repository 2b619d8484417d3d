"""What runs on the hosts of `bench.hosts`: the three servers on one, programs of the service on the others."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import boto3

from bench.faulting.programs import SETTINGS, STOP_SECONDS, Program
from bench.faulting.servers import QUIET, Place, Postgres, Redis
from bench.hosting.network import Host, NamespacesMissing
from devtools.servers import free_port, wait_until
from tsukiji.kernel.settings import (
    BrokerSettings,
    DatabaseSettings,
    DataSettings,
    OutputSettings,
    Settings,
    StorageSettings,
)

ROLES: Final = {"one": ("api", "dispatcher", "intake", "infer", "train"), "two": ("infer", "train")}
BUCKET: Final = "tsukiji"
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1"}
PORT: Final = 8000


@contextmanager
def services(host: Host, home: Path) -> Iterator[Settings]:
    """Run PostgreSQL, Redis and an S3-compatible server on a host; yield the three addresses."""
    place = Place(host.address, host.prefix)
    with ExitStack() as cleanup:
        postgres = Postgres.create(place)
        if postgres is None:
            raise NamespacesMissing("PostgreSQL is not installed here (`initdb`).")
        cleanup.callback(postgres.remove)
        postgres.start()
        broker = Redis(place)
        cleanup.callback(broker.kill)
        yield Settings(
            data=DataSettings(dir=home / "outside"),
            database=DatabaseSettings(url=postgres.url),
            broker=BrokerSettings(url=broker.url),
            storage=StorageSettings(url=f"s3://{BUCKET}/blobs", endpoint_url=cleanup.enter_context(bucket(place))),
            outputs=OutputSettings(allowed=[f"s3://{BUCKET}/results"]),
        )


@contextmanager
def bucket(place: Place) -> Iterator[str]:
    """Run moto with an empty bucket; yield its URL."""
    port = free_port()
    command = [*place.prefix, sys.executable, "-m", "moto.server", "-H", place.address, "-p", str(port)]
    process = subprocess.Popen(command, stdin=QUIET, stdout=QUIET, stderr=QUIET, start_new_session=True)
    url = f"http://{place.address}:{port}"
    try:
        client = boto3.client("s3", endpoint_url=url)
        if not wait_until(lambda: makes_bucket(client)):
            raise RuntimeError("moto did not start")
        yield url
    finally:
        process.kill()
        process.wait()


def makes_bucket(client: "boto3.client") -> bool:
    try:
        client.create_bucket(Bucket=BUCKET)
    except Exception:  # noqa: BLE001 - botocore fails in many ways while nothing listens, and all are told by the caller
        return False
    return True


@dataclass
class Machine:
    """A host with its programs. It has nothing but the three addresses, and folders of its own."""

    host: Host
    programs: list[Program]
    lost: bool = False

    @classmethod
    def of(cls, host: Host, home: Path, settings: Settings, lease: float) -> "Machine":
        folder = home / host.name
        folder.mkdir(parents=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TSUKIJI_")}
        environment = inherited | SETTINGS | CREDENTIALS
        environment |= {
            "TSUKIJI_DATABASE_URL": settings.database_url,
            "TSUKIJI_BROKER_URL": settings.broker_url,
            "TSUKIJI_STORAGE_URL": settings.storage_url,
            "TSUKIJI_STORAGE_ENDPOINT_URL": str(settings.storage.endpoint_url),
            "TSUKIJI_OUTPUTS_ALLOWED": json.dumps(settings.outputs.allowed),
            "TSUKIJI_DATA_DIR": str(folder / "data"),
            "TSUKIJI_JOBS_LEASE_SECONDS": str(lease),
            "TSUKIJI_JOBS_BEAT_SECONDS": str(lease / 3),
            "TSUKIJI_API_HOST": host.address,
            "TSUKIJI_API_PORT": str(PORT),
            "TSUKIJI_API_PROXIES": '["10.0.0.0/8"]',
            "TSUKIJI_API_ALLOWED_HOSTS": f'["{host.address}"]',
            "TSUKIJI_INFERENCE_LANE_HOST": "",
            "OMP_NUM_THREADS": "1",
        }
        places = enumerate(ROLES[host.name], 10 * len(host.name))
        logs = {role: folder / f"{role}.log" for role in ROLES[host.name]}
        programs = [Program(role, number, environment, logs[role], host.prefix) for number, role in places]
        return cls(host, programs)

    def start(self) -> None:
        for program in self.programs:
            program.start()

    def revive(self) -> None:
        if not self.lost:
            for program in self.programs:
                program.revive()

    def lose(self) -> None:
        """Cut the link, then kill everything: no one is told, as when a machine loses its power."""
        self.lost = True
        self.host.cut()
        for program in self.programs:
            program.kill()

    def come_back(self) -> None:
        """Restart the machine, with its disk as it was."""
        self.host.join()
        self.lost = False
        self.revive()

    def stop(self) -> None:
        for program in self.programs:
            program.thaw()
            if program.process is not None and program.process.poll() is None:
                program.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for program in self.programs:
            program.stop(deadline)
