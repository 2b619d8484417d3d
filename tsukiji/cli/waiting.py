"""Wait for a job with a bar on standard error; Ctrl-C ends the waiting, never the job. Knows no command."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from tsukiji import types
from tsukiji.cli.outcomes import ExitCode, reattach
from tsukiji.cli.output import ERR, is_quiet, note
from tsukiji.client import APIError, Job, Training

J = TypeVar("J", bound=Job)

LAST_WORDS_SECONDS = 2
"""How long the events of a finished job may take to arrive."""


class Bar:
    """One line that grows: what is done, how far, figures, time left. In a log nothing moves and nothing is drawn."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._title = title
        self._task = progress.add_task(title, total=None, figures="", left="")

    def advance(self, done: float, total: float, eta_seconds: float | None = None) -> None:
        left = "" if eta_seconds is None else f"{timedelta(seconds=round(eta_seconds))} left"
        self._progress.update(self._task, completed=done, total=total or None, left=left)

    def tell(self, figures: str) -> None:
        self._progress.update(self._task, figures=figures)

    def rename(self, doing: str) -> None:
        self._progress.update(self._task, description=f"{self._title} {doing}")


@contextmanager
def bar(title: str) -> Iterator[Bar]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Progress(*columns, console=ERR, transient=True, disable=is_quiet() or not ERR.is_terminal) as progress:
        yield Bar(progress, title)


@contextmanager
def sending(file: Path) -> Iterator[Callable[[int, int], None]]:
    """Show how many of a file's bytes the service has confirmed; Ctrl-C says that they need not be sent again."""
    note(f"sending {file.name}, {file.stat().st_size:,} bytes")
    try:
        with bar(f"send {file.name}") as line:
            yield line.advance
    except KeyboardInterrupt:
        note("Stopped sending. The same command continues where it stopped, while the service keeps the parts.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


@contextmanager
def interruptible(job: Job) -> Iterator[None]:
    """Let Ctrl-C end the waiting alone."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"Stopped waiting for {job.object} {job.id}. {reattach(job.id)}")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except APIError:  # a key that was revoked in the middle, a service that is gone
        note(f"Lost sight of {job.object} {job.id}. {reattach(job.id)}", style="yellow")
        raise


def wait(job: J, timeout: float | None = None) -> J:
    """Wait until the job is done, however it ends.

    Raises:
        WaitTimeout: `timeout` seconds are over; the job goes on.
        typer.Exit: the user pressed Ctrl-C; the job goes on.
    """
    with interruptible(job):
        return follow(job, timeout)


def follow(job: J, timeout: float | None = None) -> J:
    """Wait as `wait` does, where Ctrl-C is somebody else's affair. The bar leaves out the id, to have room."""
    with bar(job.object) as line:
        if isinstance(job, Training):
            return _wait_with_events(job, line, timeout)
        return job.wait(timeout, lambda changed: show_envelope(changed, line), raise_on_error=False)


def show_envelope(job: Job, line: Bar) -> None:
    line.rename(job.phase or job.status)
    line.advance(job.progress.completed, job.progress.total, job.progress.eta_seconds)
    if job.counts and job.counts.errored:
        line.tell(f"{job.counts.errored} errors")


def _wait_with_events(job: J, line: Bar, timeout: float | None) -> J:
    """The record decides when to stop; the events, on a connection of their own, only tell figures."""
    painter = Thread(target=_paint, args=(job, line), daemon=True)
    painter.start()
    try:
        return job.wait(timeout, lambda changed: show_envelope(changed, line), raise_on_error=False)
    finally:
        if job.done:
            painter.join(LAST_WORDS_SECONDS)


def _paint(job: Job, line: Bar) -> None:
    try:
        for event in job.events():
            show_event(event, line)
    except APIError:
        return  # the bar stops; the wait itself notices if the service is gone


def show_event(event: types.JobEvent, line: Bar) -> None:
    if event.event == "metric":
        note(describe_epoch(types.EpochMetrics.model_validate(event.data)))
    elif event.event == "progress":
        line.tell(describe_step({**event.data.get("progress", {}), **event.data}))


def describe_step(data: Mapping[str, Any]) -> str:
    """Name what is known in the middle of an epoch; accuracy is the last whole epoch's."""
    known = {
        "epoch": f"{data['epoch']}/{data['epochs']}" if {"epoch", "epochs"} <= data.keys() else None,
        "loss": data.get("loss") and f"{data['loss']:.3f}",
        "accuracy": data.get("accuracy") and f"{data['accuracy']:.3f}",
    }
    return " ".join(f"{name} {value}" for name, value in known.items() if value)


def describe_epoch(metrics: types.EpochMetrics) -> str:
    return (
        f"epoch {metrics.epoch:>3}  loss {metrics.train_loss:.4f}  validation loss {metrics.valid_loss:.4f}  "
        f"accuracy {metrics.accuracy:.4f}  {metrics.seconds:.1f} s"
    )
