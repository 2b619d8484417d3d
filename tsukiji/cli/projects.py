"""`tsukiji projects`: what belongs to one is, for the keys of another, as if it were not there."""

from typing import Annotated

import typer

from tsukiji.cli.options import Limit
from tsukiji.cli.output import FITS, AsJson, note, print_records, suggest
from tsukiji.client import Client

app = typer.Typer(no_args_is_help=True, help="Projects: the keys of one see nothing of another; for administrators.")

ProjectName = Annotated[str, typer.Argument(metavar="PROJECT", help="Id or name of a project.")]
Requests = Annotated[
    int | None,
    typer.Option("--requests-per-minute", min=0, help="Of all its keys together; 0: no limit; default: as it is."),
]
Pictures = Annotated[
    int | None, typer.Option("--pictures-per-day", min=0, help="To classify or add; 0: no limit; default: as it is.")
]
Stored = Annotated[
    float | None,
    typer.Option("--max-stored-gb", min=0, help="Pictures, models, results, uploads; 0: no limit; default: as it is."),
]

COLUMNS = {
    "name": lambda project: project.name,
    "id": lambda project: project.id,
    "requests per minute": lambda project: project.requests_per_minute,
    "pictures per day": lambda project: project.pictures_per_day,
    "stored GB": lambda project: project.max_stored_bytes and project.max_stored_bytes / 10**9,
    "created": lambda project: project.created_at,
}


def bytes_of(gigabytes: float | None) -> int | None:
    return None if gigabytes is None else round(gigabytes * 10**9)


@app.command("ls")
def list_projects(limit: Limit = None, as_json: AsJson = False) -> None:
    """List the projects by name."""
    with Client() as client:
        print_records(client.projects.list(), COLUMNS, as_json, limit, FITS)


@app.command("create")
def create_project(
    name: Annotated[str, typer.Argument(metavar="NAME", help="No other project has it.")],
    requests_per_minute: Requests = None,
    pictures_per_day: Pictures = None,
    max_stored_gb: Stored = None,
    as_json: AsJson = False,
) -> None:
    """Create an empty project."""
    quotas = {"requests_per_minute": requests_per_minute or None, "pictures_per_day": pictures_per_day or None}
    quotas["max_stored_bytes"] = bytes_of(max_stored_gb) or None
    with Client() as client:
        print_records([client.projects.create(name, **quotas)], COLUMNS, as_json)
    suggest("keys", "create", "--project", name, "--name", "NAME")


@app.command("update")
def update_project(
    project: ProjectName,
    name: Annotated[str | None, typer.Option("--name", help="Its new name; it keeps its name by default.")] = None,
    requests_per_minute: Requests = None,
    pictures_per_day: Pictures = None,
    max_stored_gb: Stored = None,
    as_json: AsJson = False,
) -> None:
    """Rename a project, or change its quotas."""
    quotas = {"requests_per_minute": requests_per_minute, "pictures_per_day": pictures_per_day}
    quotas["max_stored_bytes"] = bytes_of(max_stored_gb)
    changes: dict[str, str | int | None] = {key: value or None for key, value in quotas.items() if value is not None}
    changes |= {"name": name} if name is not None else {}
    with Client() as client:
        print_records([client.projects.update(project, **changes)], COLUMNS, as_json)


@app.command("rm")
def delete_project(
    project: ProjectName,
    confirm: Annotated[
        str | None,
        typer.Option("--confirm", metavar="NAME", help="Its name, to delete all in it; default: only if empty."),
    ] = None,
) -> None:
    """Delete a project with its keys."""
    with Client() as client:
        client.projects.delete(project, confirm=confirm)
    note(f"deleted {project}")
