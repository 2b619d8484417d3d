"""Rates of requests, of each key and project, counted by this process: a leaky bucket as one number (GCRA)."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tsukiji.errors import RateLimited

WINDOW_SECONDS: Final = 60


@dataclass(frozen=True)
class Allowance:
    """What a key, or all keys of a project, have left.

    Attributes:
        name: of the policy.
        quota: requests, or pictures, in a window.
        window: in seconds.
        left: how many may be sent at once now.
        full_in: seconds until there is the whole quota again.
        wait: seconds until the next one may be sent; 0: now.
    """

    name: str
    quota: int
    window: int
    left: int
    full_in: float
    wait: float = 0


def headers_of(allowances: Sequence[Allowance]) -> dict[str, str]:
    """Return headers as in draft-ietf-httpapi-ratelimit-headers-10."""
    if not allowances:
        return {}
    policies = (f'"{one.name}";q={one.quota};w={one.window}' for one in allowances)
    states = (f'"{one.name}";r={one.left};t={math.ceil(one.full_in)}' for one in allowances)
    return {"ratelimit-policy": ", ".join(policies), "ratelimit": ", ".join(states)}


class Rates:
    """Any thread may ask.

    Args:
        clock: seconds, never set back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}
        """When each key or project will have its whole quota."""
        self._lock = threading.Lock()

    def take(self, owner: str, quota: int, name: str = "requests") -> Allowance:
        """Count a request of a key or project that may send `quota` in a window."""
        each = WINDOW_SECONDS / quota
        with self._lock:
            now = self._clock()
            used = max(0.0, self._full_at.get(owner, 0.0) - now)
            wait = max(0.0, used + each - WINDOW_SECONDS)
            if wait < 1e-9:  # the rounding of sums
                used, wait = used + each, 0.0
                self._full_at[owner] = now + used
        left = max(0, int((WINDOW_SECONDS - used) / each + 1e-9))
        return Allowance(name, quota, WINDOW_SECONDS, left, used, wait)


def check(whose: str, allowance: Allowance) -> None:
    """Raises: RateLimited."""
    if allowance.wait:
        raise RateLimited(
            f"This {whose} may send {allowance.quota} requests in {WINDOW_SECONDS} s.",
            retry_after_seconds=math.ceil(allowance.wait),
        )
