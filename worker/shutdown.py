"""Shutdown of the worker, visible to all threads: running work is given back."""

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
    """Stop when standard input ends: the parent is gone, and nothing may outlive it."""
    watch_stdin(terminate)


def terminate() -> None:
    """Make this process stop, from any thread."""
    os.kill(os.getpid(), signal.SIGTERM)
