# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""The handle of one job of any kind: refresh, wait, follow, cancel."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Final, Self

from tsukiji import types
from tsukiji.client import _views as views
from tsukiji.client._base import path, retry_after
from tsukiji.client._exceptions import (
    APIError,
    JobCancelledError,
    JobError,
    JobExpiredError,
    JobFailedError,
    WaitTimeout,
)
from tsukiji.client._progress import Line, describe, goes_on, shows
from tsukiji.client._sync._bound import Bound
from tsukiji.client._sync._events import follow
from tsukiji.client._sync._runtime import interruptions

HOLD_SECONDS: Final = 30
PAUSE_SECONDS: Final = 0.25
"""Between two long polls."""
PATIENT_RETRIES: Final = 8
"""A wait survives a restart of the service: eight delays make about 40 s."""
ERROR_OF: Final[dict[str, type[JobError]]] = {
    "failed": JobFailedError,
    "cancelled": JobCancelledError,
    "expired": JobExpiredError,
}


class Job(Bound, types.Job):
    """A job: test `done`, then read `result` or `error`."""

    def _repr_html_(self) -> str:
        return views.job(self)

    def refresh(self) -> Self:
        return self._absorb(self._transport.json("GET", path("jobs", self.id)))

    def cancel(self) -> Self:
        """Ask the job to stop; this may take a moment, and the job may finish first."""
        return self._absorb(self._transport.json("POST", path("jobs", self.id, "cancel")))

    def events(self, *, after: int = 0) -> Iterator[types.JobEvent]:
        """Yield the job's history and then new events, until it is done; reconnects when the connection breaks."""
        return follow(self._transport, self.id, after)

    def wait(
        self,
        timeout: float | None = None,
        progress: "Callable[[Job], None] | bool | None" = None,
        *,
        raise_on_error: bool = True,
    ) -> Self:
        """Wait until the job is done, polling as often as the server says.

        Args:
            timeout: seconds; None: no limit.
            progress: called with this handle at once and after each change. By default a line on standard error shows
                the progress, in a terminal or a notebook; False shows nothing, as do `Client(progress=False)` and
                TSUKIJI_PROGRESS=off. An interrupted wait leaves the job running, and says so.
            raise_on_error: raise if the job did not succeed. Single bad images never raise: see `counts`.

        Raises:
            WaitTimeout: the wait is over; the job goes on.
            JobFailedError, JobCancelledError, JobExpiredError: the job did not succeed.
        """
        if callable(progress):
            return self._wait(timeout, progress, raise_on_error=raise_on_error)
        if not shows(progress, enabled=self._transport.config.progress):
            return self._wait(timeout, lambda _: None, raise_on_error=raise_on_error)
        try:
            with Line() as line:
                return self._wait(timeout, lambda job: line.show(describe(job)), raise_on_error=raise_on_error)
        except interruptions():
            print(goes_on(self), file=sys.stderr)  # noqa: T201 - to the person who interrupted
            raise

    def _wait(self, timeout: float | None, report: "Callable[[Job], None]", *, raise_on_error: bool) -> Self:
        deadline = None if timeout is None else time.monotonic() + timeout
        report(self)
        etag: str | None = None
        while not self.done:
            etag, pause = self._poll(etag, self._left(deadline), report)
            if not self.done:
                self._transport.sleep(min(pause, self._left(deadline)))
        if raise_on_error:
            self.raise_for_status()
        return self

    def raise_for_status(self) -> None:
        """Raise the exception of a job that did not succeed."""
        if self.status in ERROR_OF:
            raise ERROR_OF[self.status](self)

    def _poll(self, etag: str | None, left: float, report: "Callable[[Job], None]") -> tuple[str | None, float]:
        """Long-poll once, and return the ETag and the seconds to pause."""
        hold = int(min(HOLD_SECONDS, left))
        headers = ({"Prefer": f"wait={hold}"} if hold else {}) | ({"If-None-Match": etag} if etag else {})
        timeout = self._transport.config.timeout_seconds + hold
        try:
            response = self._transport.request(
                "GET", path("jobs", self.id), headers=headers, timeout=timeout, max_retries=PATIENT_RETRIES
            )
        except APIError as error:
            error.add_note(goes_on(self))
            raise
        if response.status_code != 304:
            self._absorb(response.json())
            report(self)
        held = "preference-applied" in response.headers
        told = retry_after(response.headers)
        return response.headers.get("etag", etag), PAUSE_SECONDS if held else 1.0 if told is None else told

    def _left(self, deadline: float | None) -> float:
        if deadline is None:
            return float("inf")
        left = deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeout(self)
        return left
