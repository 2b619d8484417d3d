"""Notifies workers of waiting work. Lost messages do no harm: the dispatcher notifies again."""

import threading
import time

import celery
import structlog
from kombu.exceptions import KombuError
from kombu.pools import producers

from tsukiji.errors import BrokerUnavailable
from tsukiji.jobs import Queue
from tsukiji.kernel.queue.app import task_name

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 5
"""Nothing is sent for this long after a failure, so that a dead broker costs one caller its time, not all."""
SEND_SECONDS = 2
STEP_SECONDS = SEND_SECONDS / 3
"""Per response of a broker; sending needs up to three: on the old connection, to reconnect, and again."""
REDIS = {"socket_timeout": STEP_SECONDS, "socket_connect_timeout": STEP_SECONDS}
AMQP = {"read_timeout": STEP_SECONDS, "write_timeout": STEP_SECONDS, "confirm_publish": True}
"""Options of the sending connection; a worker's own connection waits longer."""


class Notifier:
    """Thread-safe; never raises, and takes about two seconds at worst."""

    def __init__(self, app: celery.Celery) -> None:
        self._app = app
        options = REDIS if app.conf.broker_url.startswith("redis") else AMQP  # the file transport has no timeouts
        self._connection = app.connection_for_write(transport_options=options, connect_timeout=STEP_SECONDS)
        self._sending = threading.Lock()
        self._paused_until = 0.0

    def notify(self, queue: Queue, times: int = 1) -> bool:
        """Notify a queue's workers, with one message for each that should look for work. Call it after the commit.

        Returns:
            Whether the broker accepted it. False is not an error: the dispatcher notifies again.
        """
        return all(self._ring(queue) for _ in range(times))

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

    def _ring(self, queue: Queue) -> bool:
        if not self._sending.acquire(timeout=SEND_SECONDS):
            return False
        try:
            return time.monotonic() >= self._paused_until and self._publish(queue)
        finally:
            self._sending.release()

    def _publish(self, queue: Queue) -> bool:
        try:
            with producers[self._connection].acquire(block=True, timeout=SEND_SECONDS) as producer:
                self._app.send_task(task_name(queue), producer=producer, confirm_timeout=STEP_SECONDS)
        except (KombuError, OSError) as error:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            log.warning("wakeup_failed", queue=queue, error=str(error), pause_seconds=PAUSE_SECONDS)
            return False
        return True
