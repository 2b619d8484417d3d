"""Number of available processor cores."""

import os


def usable_cores() -> int:
    """Return how many cores this process may use: the container's limit, not the machine's number."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
