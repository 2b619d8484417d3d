"""`python -m worker.health ROLE`: does this machine's worker of that role live? For the health checks of containers.

A worker reports to the database while it lives (`worker/heartbeat.py`), so this knows of a dead process and of a
database that is out of reach. Knows nothing of the work itself: a long training is no illness.
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
    """Return 0 if the worker was heard of lately, else 1 and a line that says why."""
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
    """Look for this machine's worker of a role among those that reported within three beats."""
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
