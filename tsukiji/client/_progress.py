"""A progress line for people, in a terminal or a notebook. Knows no HTTP."""

import sys
from datetime import timedelta
from types import TracebackType
from typing import Self

from tsukiji import types


def is_watched() -> bool:
    """Return whether a person sees standard error. A notebook shows it too, though it is no terminal."""
    return sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules)


class Line:
    """One line on standard error that is overwritten, and cleared at the end."""

    def __init__(self) -> None:
        self._width = 0

    def __call__(self, job: types.Job) -> None:
        self._write(describe(job))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write("")
        self._write("")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r{text.ljust(self._width)}{'' if text else chr(13)}")
        sys.stderr.flush()
        self._width = len(text)


def describe(job: types.Job) -> str:
    """Return a job's progress as text: `training trn_1: training 40%, 0:02:10 left`."""
    left = "" if job.progress.eta_seconds is None else f", {timedelta(seconds=round(job.progress.eta_seconds))} left"
    return f"{job.object} {job.id}: {job.phase or job.status} {job.progress.fraction:.0%}{left}"
