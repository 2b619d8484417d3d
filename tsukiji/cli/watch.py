"""`tsukiji watch`: all jobs, live, from one stream of events."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final

import typer
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from tsukiji import types
from tsukiji.cli.jobs import model_name, names_of_datasets
from tsukiji.cli.outcomes import ExitCode
from tsukiji.cli.output import OUT, AsJson, note, print_json, text
from tsukiji.cli.short_ids import shortened
from tsukiji.client import Client, Job

ENDED_SHOWN: Final = 5
"""Finished jobs that stay in sight."""
BAR_WIDTH: Final = 20
NARROW: Final = 70
"""In fewer columns the bar and the id are left out."""
COLOURS: Final = {"succeeded": "green", "failed": "red", "expired": "red", "cancelled": "yellow"}


def watch(
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when no job is left to wait for.")] = False,
    as_json: AsJson = False,
) -> None:
    """Follow all jobs, live; Ctrl-C stops watching, not the jobs. In a pipe: a line for each change of status."""
    with Client() as client:
        board = Board(client)
        try:
            if as_json or not OUT.is_terminal:
                print_changes(board, client, until_idle, as_json)
            else:
                draw(board, client, until_idle)
        except KeyboardInterrupt:
            left = len(board.unfinished)
            note(f"Stopped watching. {left} {'job goes' if left == 1 else 'jobs go'} on." if left else "No job runs.")
            raise typer.Exit(ExitCode.INTERRUPTED) from None


class Board:
    """What is known of the jobs: their latest states, and the names that their events leave out."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._dataset_of = names_of_datasets(client)
        self._names: dict[str, str] = {}
        self.jobs: dict[str, types.JobState] = {}
        for job in self._open_jobs():
            self._note(job)

    def _open_jobs(self) -> Iterator[Job]:
        for status in ("running", "cancelling", "queued"):
            yield from self._client.jobs.list(status=status)

    def _note(self, job: Job) -> None:
        self.jobs[job.id] = job
        self._names[job.id] = text(self._dataset_of(job) or model_name(job))

    @property
    def unfinished(self) -> list[types.JobState]:
        return [job for job in self.jobs.values() if not job.done]

    def take(self, event: types.Event) -> bool:
        """Take over the state of a job; returns whether its status or phase has changed."""
        before, now = self.jobs.pop(event.job.id, None), event.job
        if now.id not in self._names:
            self._note(self._client.jobs.get(now.id))
        self.jobs[now.id] = now
        for ended in [job.id for job in self.jobs.values() if job.done][:-ENDED_SHOWN]:
            del self.jobs[ended]
        return before is None or (before.status, before.phase) != (now.status, now.phase)

    def name_of(self, job: types.JobState) -> str:
        return self._names[job.id]


def events_of(board: Board, client: Client, until_idle: bool) -> Iterator[types.Event]:
    """Yield events, and take them over first; end where nothing is left and that is wanted."""
    if until_idle and not board.unfinished:
        return
    for event in client.events():
        yield event
        if until_idle and not board.unfinished:
            return


def print_changes(board: Board, client: Client, until_idle: bool, as_json: bool) -> None:
    for event in events_of(board, client, until_idle):
        has_changed = board.take(event)
        if as_json:
            print_json(event)
        elif has_changed:
            job = event.job
            words = [job.object, board.name_of(job), job.phase or job.status, f"{job.progress.fraction:.0%}", job.id]
            typer.echo("\t".join(words))


def draw(board: Board, client: Client, until_idle: bool) -> None:
    with Live(table_of(board), console=OUT, auto_refresh=False) as live:
        for event in events_of(board, client, until_idle):
            board.take(event)
            live.update(table_of(board), refresh=True)


def table_of(board: Board) -> Table:
    """Draw the jobs that run, then those that wait, then the latest that have ended."""
    jobs = sorted(board.jobs.values(), key=lambda job: (job.done, job.status == "queued"))
    is_narrow = OUT.width < NARROW
    short = shortened([job.id for job in jobs])
    columns = ["job", "of", "status", "done", *([] if is_narrow else ["", "id"])]
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for job in jobs[: max(OUT.height - 3, 1)]:
        progress: Iterable[Any] = (
            [] if is_narrow else [ProgressBar(1, job.progress.fraction, BAR_WIDTH), short.get(job.id, job.id)]
        )
        state = job.status if job.done else job.phase or job.status
        table.add_row(
            job.object,
            board.name_of(job),
            state,
            f"{job.progress.fraction:.0%}",
            *progress,
            style=COLOURS.get(job.status),
        )
    if not jobs:
        table.add_row("no job runs; this list is live")
    return table
