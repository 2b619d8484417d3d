"""Rates of requests and quotas of pictures as headers and errors."""

import math
from collections.abc import Sequence

from db.rates import WINDOW_SECONDS, Allowance
from tsukiji.errors import RateLimited


def headers_of(allowances: Sequence[Allowance]) -> dict[str, str]:
    """Return headers as in draft-ietf-httpapi-ratelimit-headers-10."""
    if not allowances:
        return {}
    policies = (f'"{one.name}";q={one.quota};w={one.window}' for one in allowances)
    states = (f'"{one.name}";r={one.left};t={math.ceil(one.full_in)}' for one in allowances)
    return {"ratelimit-policy": ", ".join(policies), "ratelimit": ", ".join(states)}


def check_rate(whose: str, allowance: Allowance) -> None:
    """Raises: RateLimited."""
    if allowance.wait:
        raise RateLimited(
            f"This {whose} may send {allowance.quota} requests in {WINDOW_SECONDS} s.",
            retry_after_seconds=math.ceil(allowance.wait),
        )
