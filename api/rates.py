"""Rates of requests, one for each key, counted by this process: a leaky bucket as one number (GCRA)."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tsukiji.errors import RateLimited

WINDOW_SECONDS: Final = 60
POLICY: Final = '"requests"'


@dataclass(frozen=True)
class Allowance:
    """What a key has left.

    Attributes:
        quota: requests in a window.
        left: how many it may send at once now.
        full_in: seconds until it has the whole quota again.
        wait: seconds until it may send the next one; 0: now.
    """

    quota: int
    left: int
    full_in: float
    wait: float

    @property
    def headers(self) -> dict[str, str]:
        """As in draft-ietf-httpapi-ratelimit-headers-10."""
        return {
            "ratelimit-policy": f"{POLICY};q={self.quota};w={WINDOW_SECONDS}",
            "ratelimit": f"{POLICY};r={self.left};t={math.ceil(self.full_in)}",
        }


class Rates:
    """Any thread may ask.

    Args:
        clock: seconds, never set back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}
        """When each key will have its whole quota."""
        self._lock = threading.Lock()

    def take(self, key_id: str, quota: int) -> Allowance:
        """Count a request of a key that may send `quota` in a window."""
        each = WINDOW_SECONDS / quota
        with self._lock:
            now = self._clock()
            used = max(0.0, self._full_at.get(key_id, 0.0) - now)
            wait = max(0.0, used + each - WINDOW_SECONDS)
            if wait < 1e-9:  # the rounding of sums
                used, wait = used + each, 0.0
                self._full_at[key_id] = now + used
        return Allowance(quota, max(0, int((WINDOW_SECONDS - used) / each + 1e-9)), used, wait)


def check(allowance: Allowance) -> None:
    """Raises: RateLimited."""
    if allowance.wait:
        raise RateLimited(
            f"This key may send {allowance.quota} requests in {WINDOW_SECONDS} s.",
            retry_after_seconds=math.ceil(allowance.wait),
        )
