"""How often clients should poll: by the age of their job, and less often if there are many."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from tsukiji.kernel.cores import usable_cores

PACE: Final = ((10, 1), (60, 2))
"""Age of the job in seconds, seconds between polls; older ones are polled every 5."""
SLOWEST_PACE: Final = 5
POLLS_PER_CORE: Final = 5
"""Poll requests per second and core, of all clients together; they cost about 2% of it."""
LONGEST_PAUSE: Final = 120


def pause_for(age_seconds: float) -> int:
    return next((seconds for limit, seconds in PACE if age_seconds < limit), SLOWEST_PACE)


class PollPacer:
    """Spreads clients evenly: each is assigned a second for which few others are expected.

    Pauses that depend only on the number of clients would bring them back in waves.
    """

    def __init__(self, polls_per_second: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        """Without `polls_per_second`, the limit depends on this process's cores."""
        self._most = polls_per_second or POLLS_PER_CORE * usable_cores()
        self._clock = clock
        self._expected: Counter[int] = Counter()
        """Number of clients by the second in which they return."""

    def pause(self, wanted: int) -> int:
        """Return the seconds to wait, at least `wanted`."""
        now = int(self._clock())
        for second in [second for second in self._expected if second <= now]:
            del self._expected[second]
        free = (pause for pause in range(wanted, LONGEST_PAUSE) if self._expected[now + pause] < self._most)
        pause = next(free, LONGEST_PAUSE)
        self._expected[now + pause] += 1
        return pause
