"""How often clients are asked to poll: by the age of their job, and more seldom where there are many of them."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from tsukiji.kernel.cores import usable_cores

PACE: Final = ((10, 1), (60, 2))
"""Age of the job in seconds, seconds between polls; older ones are polled every 5."""
SLOWEST_PACE: Final = 5
POLLS_PER_CORE: Final = 5
"""How often a second all clients together are asked to come, for each core: that takes some 2% of it from the work."""
LONGEST_PAUSE: Final = 120


def pause_for(age_seconds: float) -> int:
    return next((seconds for limit, seconds in PACE if age_seconds < limit), SLOWEST_PACE)


class PollPacer:
    """All clients that poll. Each is asked to come back in a second for which not too many others are expected.

    So they come evenly, however many came at once: pauses that follow their number alone bring them back in waves.
    """

    def __init__(self, polls_per_second: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        """0 polls a second: as many as the cores of this process allow."""
        self._most = polls_per_second or POLLS_PER_CORE * usable_cores()
        self._clock = clock
        self._expected: Counter[int] = Counter()
        """Clients, by the second of the clock."""

    def pause(self, wanted: int) -> int:
        """Return the seconds to hand to a client that would otherwise be handed `wanted`."""
        now = int(self._clock())
        for second in [second for second in self._expected if second <= now]:
            del self._expected[second]
        free = (pause for pause in range(wanted, LONGEST_PAUSE) if self._expected[now + pause] < self._most)
        pause = next(free, LONGEST_PAUSE)
        self._expected[now + pause] += 1
        return pause
