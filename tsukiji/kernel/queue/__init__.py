"""Worker notifications: a message says that a queue has work. The only part that knows the broker; knows no rows."""

from tsukiji.kernel.queue.app import WORKER_OPTIONS, bell_of, create_app
from tsukiji.kernel.queue.wakeups import Wakeups

__all__ = ["WORKER_OPTIONS", "Wakeups", "bell_of", "create_app"]
