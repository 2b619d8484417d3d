"""Worker notifications: a message says that a queue has work. The only part that knows the broker; knows no rows."""

from tsukiji.kernel.queue.app import WORKER_OPTIONS, create_app, task_name
from tsukiji.kernel.queue.notifier import Notifier

__all__ = ["WORKER_OPTIONS", "Notifier", "create_app", "task_name"]
