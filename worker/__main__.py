"""`python -m worker train|infer|intake|dispatcher|up`: one process of the service, or all of them."""

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import structlog
from celery.signals import worker_ready, worker_shutdown

from tsukiji import __version__
from tsukiji.errors import Invalid
from tsukiji.jobs import Queue
from tsukiji.kernel import exposure, log, metrics, tracing
from tsukiji.kernel.queue import WORKER_OPTIONS, task_name
from tsukiji.kernel.settings import Settings, load
from worker.dispatcher import dispatch
from worker.heartbeat import announce
from worker.inference.predict_rpc import PredictServer
from worker.inference.pretrained_weights import LOADS_WEIGHTS, AvailableWeights
from worker.memory import give_back_soon
from worker.services import WORKER_VARIABLE, name_worker, open_services
from worker.shutdown import watch_parent
from worker.tasks import register

# A training is a process of its own, supervised by a thread; other work runs in this process: if it dies, it is
# restarted, and its leases say what it held. Not prefork: see docs/decisions/0012-no-prefork.md.
POOLS = {Queue.TRAIN: "threads", Queue.INFER: "solo", Queue.INTAKE: "solo"}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument("role", choices=[*map(str, Queue), "dispatcher", "up"])
    parser.add_argument("--watch-stdin", action="store_true", help="stop when standard input closes")
    parser.add_argument("--announce", type=Path, help="up: write the address and a new key to this file when ready")
    parser.add_argument("--verbose", action="store_true", help="up: log to the terminal instead of the data folder")
    parser.add_argument("--no-browser", action="store_true", help="up: do not open the page in a browser")
    options = parser.parse_args(arguments)
    try:
        settings = load()
        if options.role == "up":
            exposure.check(settings.api.host, settings.api)
    except Invalid as error:
        parser.error(f"{error.detail} {error.hint or ''}")
    log.configure(settings.log, options.role if options.role in {"up", "dispatcher"} else f"worker-{options.role}")
    if options.role == "up":
        if options.watch_stdin:
            watch_parent()
        from worker import supervisor  # noqa: PLC0415 - Alembic is a tenth of the time that a worker takes to start

        verbose = options.verbose or not sys.stderr.isatty()
        if not verbose:
            log.configure(settings.log.model_copy(update={"level": "warning"}), "up")
        return supervisor.up(settings, options.announce, verbose=verbose, browser=not options.no_browser)
    os.environ.setdefault(WORKER_VARIABLE, name_worker(options.role))
    metrics.configure(settings, options.role)
    metrics.serve(settings)
    tracing.configure(options.role, __version__)
    if options.role == "dispatcher":
        return run_dispatcher(settings, watch=options.watch_stdin)
    return run_worker(settings, Queue(options.role), watch=options.watch_stdin)


def run_worker(settings: Settings, queue: Queue, *, watch: bool) -> int:
    """Run a Celery worker of one queue until stopped."""
    name = os.environ[WORKER_VARIABLE]
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # see worker/jobs/engine.py
    server = open_predict_server(settings) if queue == Queue.INFER else None
    if queue == Queue.INTAKE:
        give_back_soon()
    app = register(settings, queue, server)
    device = {Queue.TRAIN: settings.training.device, Queue.INFER: settings.inference.device}.get(queue)

    def ready(**_: object) -> None:
        address = server.address(name) if server else None
        available = AvailableWeights(settings) if queue in LOADS_WEIGHTS else None
        worker_shutdown.connect(leaving(announce(settings, name, queue, device, address, available)), weak=False)
        if watch:
            watch_parent()
        structlog.get_logger(__name__).info("worker_ready", queue=queue, worker=name)

    worker_ready.connect(ready, weak=False)
    argv = [
        "--quiet",
        "worker",
        "-Q",
        task_name(queue),
        "-P",
        POOLS[queue],
        "-c",
        "1",
        "-n",
        name,
        "--loglevel",
        "warning",
        *WORKER_OPTIONS,
    ]
    app.worker_main(argv)
    return 0


def open_predict_server(settings: Settings) -> PredictServer | None:
    """Listen for the predict RPC; a worker that cannot still processes queued predictions."""
    host = settings.inference.lane_host
    if not host:
        return None
    try:
        return PredictServer(socket.gethostbyname(socket.gethostname()) if host == "auto" else host)
    except OSError as error:
        structlog.get_logger(__name__).warning("lane_closed", host=host, error=str(error))
        return None


def leaving(leave: Callable[[], None]) -> Callable[..., None]:
    def on_shutdown(**_: object) -> None:
        leave()

    return on_shutdown


def run_dispatcher(settings: Settings, *, watch: bool) -> int:
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    if watch:
        watch_parent()
    services = open_services(settings)
    leave = announce(settings, services.worker, "dispatcher", None)
    dispatch(services, stop)
    leave()
    return 0


if __name__ == "__main__":
    sys.exit(main())
