"""The turn of claimed work on a device that trainings and batches share (`TSUKIJI_JOBS_SHARED_DEVICE`)."""

import time
from types import TracebackType
from typing import Final, Self

from db.jobs import devices
from db.session import Session
from tsukiji.jobs import Queue
from worker.lease import Lease
from worker.services import Services

LOOK_SECONDS: Final = 0.5
LEAST_SECONDS: Final = 1.0
"""A shorter turn would be spent on changing."""


class DeviceTurn:
    """A context manager: it waits for the turn, and gives it back. Where no device is shared it is always its turn."""

    def __init__(self, services: Services, queue: Queue, lease: Lease) -> None:
        self.held = False
        self._services, self._queue, self._lease = services, queue, lease
        self._name = services.settings.jobs.shared_device
        self._began = self._looked = self._owed = 0.0

    def __enter__(self) -> Self:
        if self._name:
            self._lease.renewals.append(self._renew)
        while not self.take():
            self._lease.check()
            time.sleep(LOOK_SECONDS)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._name:
            self._lease.renewals.remove(self._renew)
        if self.held:
            self.give_back()

    def take(self) -> bool:
        """Take the device if it is free, and not the other queue's turn; asks the rows every half second."""
        if not self._name:
            self.held = True
        elif not self.held and self._is_time():
            names = (self._name, self._queue, self._services.worker, self._services.settings.jobs.lease_seconds)
            before = self._services.retry_while_unavailable(lambda session: devices.take(session, *names))
            self.held, self._owed, self._began = before is not None, before or 0.0, time.monotonic()
        return self.held

    @property
    def is_over(self) -> bool:
        """Return whether the other queue waits, and has waited for as long as its own last turn took."""
        due = self._name and time.monotonic() - self._began >= max(LEAST_SECONDS, self._owed)
        if not due or not self._is_time():
            return False
        return self._services.retry_while_unavailable(
            lambda session: devices.is_wanted(session, self._name, self._queue)
        )

    def give_back(self) -> None:
        """Let the other queue have its turn."""
        self.held = False
        if self._name:
            seconds, name, worker = time.monotonic() - self._began, self._name, self._services.worker
            self._services.retry_while_unavailable(lambda session: devices.give_back(session, name, worker, seconds))

    def _renew(self, session: Session) -> None:
        devices.renew(session, self._name, self._services.worker, self._services.settings.jobs.lease_seconds)

    def _is_time(self) -> bool:
        """Return whether the last look at the rows was long enough ago."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return False
        self._looked = time.monotonic()
        return True
