"""How many processor cores there are for us."""

import os


def usable_cores() -> int:
    """Return how many cores this process may use: a container's, not the machine's."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
