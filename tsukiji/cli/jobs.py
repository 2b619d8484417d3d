"""`tsukiji jobs`: jobs of all kinds in one list."""

from collections.abc import Callable
from functools import cache, partial
from typing import Annotated

import typer

from tsukiji.cli.options import FailOnItemError, JobId, Limit, Timeout
from tsukiji.cli.outcomes import ExitCode
from tsukiji.cli.output import FITS, AsJson, note, print_fields, print_json, print_records
from tsukiji.cli.waiting import wait
from tsukiji.client import Client, Job, NotFoundError

app = typer.Typer(
    no_args_is_help=True, help="Trainings, batches, predictions, imports, evaluations, analyses and exports."
)


@app.command("ls")
def list_jobs(
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help="Only this kind: training, batch, prediction, import, evaluation, analysis, suggestion or export.",
        ),
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(
            "--status", help="Only this status: queued, running, cancelling, succeeded, failed, cancelled or expired."
        ),
    ] = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List the jobs, newest first."""
    with Client() as client:
        dataset_of_job = names_of_datasets(client)
        columns = {
            "kind": lambda job: job.object,
            "data set": dataset_of_job,
            "model": model_name,
            "status": lambda job: job.status,
            "done": lambda job: f"{job.progress.fraction:.0%}",
            "errors": lambda job: job.counts.errored if job.counts else None,
            "created": lambda job: job.created_at,
            "id": lambda job: job.id,
        }
        print_records(client.jobs.list(kind=kind, status=status), columns, as_json, limit, FITS)


def names_of_datasets(client: Client) -> Callable[[Job], str | None]:
    """Return what gives the name of the data set that a job is about; each is asked for once."""
    name_of = cache(partial(dataset_name, client))
    return lambda job: job.request.get("dataset_name") or name_of(dataset_of(job))


def model_name(job: Job) -> str | None:
    return job.request.get("model_name" if "model" in job.request else "name")


def dataset_of(job: Job) -> str | None:
    """Return the id of the data set that a job is about, if it is about one."""
    source = job.request.get("input")
    return job.request.get("dataset") or (source.get("dataset") if isinstance(source, dict) else None)


def dataset_name(client: Client, dataset_id: str | None) -> str | None:
    """Return the name of a data set; its id if it was deleted."""
    if dataset_id is None:
        return None
    try:
        return client.datasets.get(dataset_id).name
    except NotFoundError:
        return dataset_id


@app.command("show")
def show(job: JobId, as_json: AsJson = False) -> None:
    """Show one job."""
    with Client() as client:
        show_job(client.jobs.get(job), as_json)


@app.command("watch")
def watch(
    job: JobId,
    timeout: Timeout = None,
    fail_on_item_error: FailOnItemError = False,
    as_json: AsJson = False,
) -> None:
    """Follow a job to its end; Ctrl-C stops watching, not the job."""
    with Client() as client:
        found = wait(client.jobs.get(job), timeout)
    show_job(found, as_json)
    found.raise_for_status()
    if fail_on_item_error and found.counts and found.counts.errored:
        raise typer.Exit(ExitCode.ITEM_ERRORS)


@app.command("cancel")
def cancel(job: JobId, as_json: AsJson = False) -> None:
    """Cancel a job; finished results are kept."""
    with Client() as client:
        found = client.jobs.cancel(job)
    if not found.done:
        note(f"{found.id} is stopping; `tsukiji jobs watch {found.id}` waits for it")
    show_job(found, as_json)


def show_job(job: Job, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    fields = {
        "id": job.id,
        "kind": job.object,
        "status": job.status,
        "phase": job.phase,
        "done": f"{job.progress.completed:g} of {job.progress.total:g} {job.progress.unit}",
        "attempt": job.attempt,
        "created": job.created_at,
        "started": job.started_at,
        "finished": job.finished_at,
    }
    counts = {f"images {name}": count for name, count in job.counts.model_dump().items()} if job.counts else {}
    error = {"error": f"{job.error.code}: {job.error.detail or job.error.title}"} if job.error else {}
    print_fields({**fields, **counts, **(job.result or {}), **error})
