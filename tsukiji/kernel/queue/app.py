"""The Celery application, shared by senders and workers. Knows no task's work."""

from typing import Any, Final

import celery
from celery import bootsteps
from celery.signals import setup_logging
from kombu import Exchange
from kombu import Queue as Channel
from kombu.transport import TRANSPORT_ALIASES

from tsukiji.errors import Invalid
from tsukiji.jobs import Queue
from tsukiji.kernel.settings import Settings

WORKER_OPTIONS: Final = ("--without-gossip", "--without-mingle", "--without-heartbeat")
"""Options of `celery worker`: workers coordinate through rows, not with each other."""

VISIBILITY_SECONDS = 7 * 24 * 3600
GLANCE_SECONDS = 0.3


class PeriodicWake(bootsteps.StartStopStep):  # type: ignore[misc]  # celery has no types
    """Wakes a worker's loop regularly: it notices its stop signal only between events, otherwise up to 10 s late."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    timer_entry: Any = None

    def start(self, consumer: Any) -> None:
        self.timer_entry = consumer.timer.call_repeatedly(GLANCE_SECONDS, bool)

    def stop(self, consumer: Any) -> None:
        if self.timer_entry is not None:
            self.timer_entry.cancel()


def task_name(queue: Queue) -> str:
    """Return the name of a queue's only task, and of its queue at the broker."""
    return f"tsukiji.{queue}"


def create_app(settings: Settings) -> celery.Celery:
    """Return an application bound to `settings.broker_url`: `files://folder`, `redis://..` or `amqp://..`.

    Raises:
        Invalid: the URL names no supported broker.
    """
    setup_logging.connect(_leave_logging)
    url, options = _broker(settings)
    app = celery.Celery("tsukiji", broker=url, set_as_current=False)
    app.conf.update(
        broker_transport_options=options,
        broker_connection_timeout=5,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_queues=[_channel(queue) for queue in Queue],
        task_default_queue=task_name(Queue.INTAKE),
        task_routes={task_name(queue): {"queue": task_name(queue)} for queue in Queue},
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # Retry once, immediately: a restarted broker leaves us a dead connection.
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0},
    )
    app.steps["consumer"].add(PeriodicWake)
    return app


def _broker(settings: Settings) -> tuple[str, dict[str, Any]]:
    """Return the URL and the options for Celery."""
    url = settings.broker_url
    scheme, _, place = url.partition("://")
    match scheme:
        case "files":
            TRANSPORT_ALIASES["files"] = "tsukiji.kernel.queue.files:Transport"
            return "files://", {"folder": place, "polling_interval": settings.broker.poll_seconds}
        case "redis" | "rediss":
            TRANSPORT_ALIASES[scheme] = "tsukiji.kernel.queue.redis:Transport"
            timeouts = {"socket_timeout": 10, "socket_connect_timeout": 5, "health_check_interval": 25}
            return url, {"visibility_timeout": VISIBILITY_SECONDS, "socket_keepalive": True, **timeouts}
        case "amqp" | "amqps":
            return url, {}
    raise Invalid(
        f"{scheme}:// is not a supported broker.",
        hint="Set TSUKIJI_BROKER_URL to a redis:// or amqp:// URL, or unset it.",
    )


def _channel(queue: Queue) -> Channel:
    """RabbitMQ redelivers work unacknowledged for half an hour, unless configured; other brokers ignore this."""
    arguments = {"x-consumer-timeout": VISIBILITY_SECONDS * 1000}
    exchange = Exchange("tsukiji", type="direct")
    return Channel(task_name(queue), exchange, task_name(queue), queue_arguments=arguments)


def _leave_logging(**_: Any) -> None:
    """Prevents Celery from configuring logging: `tsukiji.kernel.log` does that."""
