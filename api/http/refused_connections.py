"""Log lines of refused connections, limited in rate."""

import time
from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger(__name__)

LINES: Final = 10
WINDOW_SECONDS: Final = 10


class Refusals:
    """Writes at most `LINES` lines in `WINDOW_SECONDS`; the first line after that says how many were left out.

    Belongs to the event loop's thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._written = self._left_out = 0

    def note(self, reason: str, client: tuple[str, int] | None) -> None:
        """Log the reason and the client (host and port)."""
        now = self._clock()
        if now - self._since >= WINDOW_SECONDS:
            self._since, self._written = now, 0
        if self._written >= LINES:
            self._left_out += 1
            return
        host, port = client or (None, None)
        log.warning("connection_refused", reason=reason, client=host, port=port, left_out=self._left_out)
        self._written, self._left_out = self._written + 1, 0
