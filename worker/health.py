"""`python -m worker.health ROLE`: is this machine's worker of that role alive? For health checks of containers.

Checks the worker's heartbeat in the database (`worker/heartbeat.py`), so it detects a dead process or an unreachable
database. It does not look at the work: a long training is healthy.
"""

import argparse
import socket
import sys

from db.jobs import workers
from db.session import Database, DatabaseUnavailable
from tsukiji.errors import TsukijiError
from tsukiji.kernel.settings import Settings, load

MISSED_BEATS = 3


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if the worker sent a heartbeat recently, else 1 after printing the reason."""
    parser = argparse.ArgumentParser(prog="python -m worker.health", description=__doc__)
    parser.add_argument("role", help="train, infer, intake or dispatcher")
    role = parser.parse_args(arguments).role
    try:
        present = is_present(load(), role)
    except DatabaseUnavailable as error:
        return tell(f"the database does not answer: {error.orig}")
    except TsukijiError as error:
        return tell(error.detail)
    return 0 if present else tell(f"no {role} worker on {socket.gethostname()} has reported recently")


def is_present(settings: Settings, role: str) -> bool:
    """Return whether a worker of this role on this machine reported within three heartbeats."""
    database = Database(settings)
    try:
        with database.reading() as session:
            present = workers.present(session, MISSED_BEATS * settings.jobs.beat_seconds)
    finally:
        database.close()
    here = f"@{socket.gethostname()}:"
    return any(worker.queue == role and here in worker.worker for worker in present)


def tell(problem: str) -> int:
    sys.stderr.write(f"{problem}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
