"""A plain Celery service on Redis or RabbitMQ, configured for reliability according to Celery's documentation.

Late acknowledgement, rejection when a worker is lost, a result backend (on RabbitMQ its own, with messages that are
kept), and on Redis a visibility timeout of one lease. A task works for some seconds and then commits its rows together.
"""

import os
import sqlite3
import time
from typing import Any, Final

import celery

ROWS: Final = 5
TABLE: Final = "CREATE TABLE IF NOT EXISTS results (task TEXT, row INTEGER)"
URL: Final = os.environ.get("PEER_URL", "redis://127.0.0.1:6379/1")
TIMEOUT: Final = float(os.environ.get("PEER_TIMEOUT", "6"))


def options(url: str, timeout: float) -> dict[str, Any]:
    """Return the settings that depend on the broker."""
    if not url.startswith("redis"):
        return {"broker_url": url, "result_backend": "rpc://", "result_persistent": True}
    visible = {"visibility_timeout": timeout}
    return {
        "broker_url": url,
        "result_backend": url,
        "broker_transport_options": visible,
        "result_backend_transport_options": visible,
    }


app = celery.Celery("peer", set_as_current=False)
app.conf.update(
    **options(URL, TIMEOUT),
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
)


@app.task(bind=True, name="peer.work", autoretry_for=(sqlite3.Error,), retry_backoff=True)  # type: ignore[untyped-decorator]
def work(task: Any, seconds: float) -> int:
    """Work, and write the result."""
    time.sleep(seconds)
    with sqlite3.connect(os.environ["PEER_ROWS"], timeout=15) as connection:
        connection.execute(TABLE)
        rows = [(task.request.id, number) for number in range(ROWS)]
        connection.executemany("INSERT INTO results VALUES (?, ?)", rows)
    return ROWS
