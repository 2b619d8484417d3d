"""A bell for each queue: a message says that there is work. Alone knows which broker carries it; knows no rows."""

from tsukiji.kernel.queue.app import WORKER_OPTIONS, bell_of, create_app
from tsukiji.kernel.queue.wakeups import Wakeups

__all__ = ["WORKER_OPTIONS", "Wakeups", "bell_of", "create_app"]
