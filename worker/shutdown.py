"""The worker's wish to stop, seen by its threads: running work gives itself back."""

import os
import signal
import threading
from typing import Any

from celery.signals import worker_shutting_down

from tsukiji.kernel.parent_process import watch_stdin

stopping = threading.Event()


def stop(**_: Any) -> None:
    stopping.set()


worker_shutting_down.connect(stop)


def watch_parent() -> None:
    """Stop when standard input ends: whoever started us is gone, and nothing may outlive it."""
    watch_stdin(terminate)


def terminate() -> None:
    """Tell this process to stop, from any thread."""
    os.kill(os.getpid(), signal.SIGTERM)
