"""Settings for tests, whose defaults are read from the environment once: that takes 10 ms, a third of many a test."""

from functools import cache
from typing import Any

from tsukiji.kernel.settings import Settings


def make_settings(**groups: Any) -> Settings:
    """Return the settings of this run, with other groups."""
    return defaults().model_copy(update=groups)


@cache
def defaults() -> Settings:
    return Settings()
