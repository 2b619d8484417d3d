"""Wake-ups: short messages that say "look at this row". Alone knows which broker carries them; knows no rows."""

from tsukiji.queue.app import WORKER_OPTIONS, create_app
from tsukiji.queue.wakeups import Wakeups

__all__ = ["WORKER_OPTIONS", "Wakeups", "create_app"]
