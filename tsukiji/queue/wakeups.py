"""Sending wake-ups. A wake-up may get lost: the dispatcher finds the row and sends again."""

import threading
import time

import celery
import structlog
from kombu.exceptions import KombuError
from kombu.pools import producers

from tsukiji.errors import BrokerUnavailable
from tsukiji.jobs import Task
from tsukiji.queue.app import TOP_PRIORITY

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 5
"""After a failure nothing is sent for this long, so that a dead broker costs one caller its time, not each of them."""
SEND_SECONDS = 2
STEP_SECONDS = SEND_SECONDS / 3
"""For each answer of a broker; sending needs up to three: on the old connection, to connect anew, and again."""
REDIS = {"socket_timeout": STEP_SECONDS, "socket_connect_timeout": STEP_SECONDS}
AMQP = {"read_timeout": STEP_SECONDS, "write_timeout": STEP_SECONDS, "confirm_publish": True}
"""Options of the sending connection; a worker's own connection waits longer."""


class Wakeups:
    """Sends wake-ups from any thread; never raises, and takes about two seconds at the worst."""

    def __init__(self, app: celery.Celery) -> None:
        self._app = app
        self._redis = app.conf.broker_url.startswith("redis")
        options = REDIS if self._redis else AMQP  # files have nobody to wait for, and look at neither
        self._connection = app.connection_for_write(transport_options=options, connect_timeout=STEP_SECONDS)
        self._sending = threading.Lock()
        self._paused_until = 0.0

    def send(self, task: Task, row_id: str, *, priority: int = 0) -> bool:
        """Wake a worker; call it after the commit.

        Args:
            task: what is to look at the row.
            row_id: the row.
            priority: 0 to 9; more goes first.

        Returns:
            Whether the broker took it. False is no error: the dispatcher sends again.
        """
        if not self._sending.acquire(timeout=SEND_SECONDS):
            return False
        try:
            return time.monotonic() >= self._paused_until and self._publish(task, row_id, priority)
        finally:
            self._sending.release()

    def check(self) -> None:
        """Return if the broker answers.

        Raises:
            BrokerUnavailable: it does not.
        """
        try:
            with self._connection.clone() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=SEND_SECONDS)
        except (KombuError, OSError) as error:
            raise BrokerUnavailable(f"The broker does not answer: {error}") from error

    def _publish(self, task: Task, row_id: str, priority: int) -> bool:
        try:
            with producers[self._connection].acquire(block=True, timeout=SEND_SECONDS) as producer:
                self._app.send_task(
                    task.value,
                    args=[row_id],
                    priority=self._wire_priority(priority),
                    producer=producer,
                    confirm_timeout=STEP_SECONDS,
                )
        except (KombuError, OSError) as error:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            log.warning("wakeup_failed", task=task.value, id=row_id, error=str(error), pause_seconds=PAUSE_SECONDS)
            return False
        return True

    def _wire_priority(self, priority: int) -> int:
        """For RabbitMQ and for files more goes first, for Redis less does (kombu's transports differ)."""
        return TOP_PRIORITY - priority if self._redis else priority
