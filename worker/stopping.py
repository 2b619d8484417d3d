"""The worker's wish to stop, seen by its threads: running work gives itself back."""

import os
import signal
import threading
from typing import Any

from celery.signals import worker_shutting_down

stopping = threading.Event()


def stop(**_: Any) -> None:
    stopping.set()


worker_shutting_down.connect(stop)


def watch_parent() -> None:
    """Stop when standard input ends: whoever started us is gone, and nothing may outlive it."""
    threading.Thread(target=_wait_for_end, name="watch-parent", daemon=True).start()


def _wait_for_end() -> None:
    # os.read and not sys.stdin: a daemon thread blocked in sys.stdin aborts the interpreter when it exits.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
