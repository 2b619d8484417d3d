"""A progress line for people, in a terminal or a notebook. Knows no HTTP."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from tsukiji import types

MEBIBYTE: Final = 2**20
BAR_CHARACTERS: Final = 20


def is_watched() -> bool:
    """Return whether a person sees standard error. A notebook shows it too, though it is no terminal."""
    return sys.stderr is not None and (sys.stderr.isatty() or is_notebook())


def is_notebook() -> bool:
    """Return whether this is the kernel of a notebook; having imported its packages is not enough."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class Line:
    """One line on standard error that is overwritten, and cleared at the end; it may be written by several threads."""

    def __init__(self) -> None:
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.show("")
        self.show("")

    def show(self, text: str) -> None:
        # One call: lines of two threads do not mix.
        sys.stderr.write(f"\r{text.ljust(self._width)}{'' if text else chr(13)}")
        sys.stderr.flush()
        self._width = len(text)


class Counter:
    """Shows how many files or bytes are done: `pets: 40% ████        4 of 10 files, 0:00:03 left`."""

    def __init__(self, line: Line, title: str, unit: str) -> None:
        self._line, self._title, self._unit = line, title, unit
        self._began: tuple[float, int] | None = None

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        self._began = self._began or (now, done)
        since, before = self._began
        fraction = done / total if total else 1.0
        seconds = (now - since) * (total - done) / (done - before) if done > before else 0.0
        left = f", {timedelta(seconds=round(seconds))} left" if round(seconds) else ""
        self._line.show(
            f"{self._title}: {bar(fraction)} {self._count(done)} of {self._count(total)} {self._unit}{left}"
        )

    def _count(self, number: int) -> str:
        return f"{number / MEBIBYTE:,.1f}" if self._unit == "MiB" else f"{number:,}"


def bar(fraction: float) -> str:
    filled = round(BAR_CHARACTERS * fraction)
    return f"{fraction:.0%} {'█' * filled}{'░' * (BAR_CHARACTERS - filled)}"


def describe(job: types.Job) -> str:
    """Return a job's progress as text: `training trn_1: training 40% ████, 0:02:10 left`."""
    left = "" if job.progress.eta_seconds is None else f", {timedelta(seconds=round(job.progress.eta_seconds))} left"
    return f"{job.object} {job.id}: {job.phase or job.status} {bar(job.progress.fraction)}{left}"


def goes_on(job: types.Job) -> str:
    """Return what to say when a person interrupts a wait."""
    return f"{job.object} {job.id} goes on in the service: wait() follows it again, cancel() stops it"


@contextmanager
def counted(
    wanted: Callable[[int, int], None] | bool | None, title: str, unit: str, *, enabled: bool
) -> Iterator[Callable[[int, int], None]]:
    """Yield what to call with the done and total files or bytes: the caller's function, a line, or nothing."""
    if callable(wanted):
        yield wanted
    elif shows(wanted, enabled=enabled):
        with Line() as line:
            yield Counter(line, title, unit)
    else:
        yield lambda _done, _total: None


def shows(wanted: object, *, enabled: bool) -> bool:
    """Return whether a line is shown: True and False decide, None leaves it to the switch and to who reads along."""
    return wanted is True or (wanted is None and enabled and is_watched())
