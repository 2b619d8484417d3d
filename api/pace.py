"""How often clients are asked to poll: by the age of their job, and more seldom where there are many of them."""

import math
import time
from collections.abc import Callable
from typing import Final

PACE: Final = ((10, 1), (60, 2))
"""Age of the job in seconds, seconds between polls; older ones are polled every 5."""
SLOWEST_PACE: Final = 5
POLLS_PER_SECOND: Final = 25
"""What all clients together are asked to keep to: the work needs the processor, too."""
LONGEST_PAUSE: Final = 60
MEMORY_SECONDS: Final = 10
LEAST_SECONDS: Final = 1
"""From less nothing is concluded."""


def pause_for(age_seconds: float) -> int:
    return next((seconds for limit, seconds in PACE if age_seconds < limit), SLOWEST_PACE)


class Crowd:
    """How many clients poll. Each that comes back every n seconds is handed n seconds of pause: a second each second.

    So their number is the seconds of pause that are handed out in a second (Little's law), whatever each one's pace.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = self._since = clock()
        self._handed = 0.0

    @property
    def clients(self) -> float:
        now = self._clock()
        handed = self._handed * math.exp((self._at - now) / MEMORY_SECONDS)
        # Of a crowd that has just begun to come, a part of the memory is empty, and says nothing.
        filled = 1 - math.exp(-max(LEAST_SECONDS, now - self._since) / MEMORY_SECONDS)
        return handed / (MEMORY_SECONDS * filled)

    def pause(self, wanted: int) -> int:
        """Return the seconds to hand to a client that would otherwise be handed `wanted`."""
        now = self._clock()
        pause = min(LONGEST_PAUSE, max(wanted, math.ceil(self.clients / POLLS_PER_SECOND)))
        self._handed *= math.exp((self._at - now) / MEMORY_SECONDS)
        if self._handed < 1:
            self._since = now
        self._handed, self._at = self._handed + pause, now
        return pause
