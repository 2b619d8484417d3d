"""The programs beside the client: found in a checkout or in an installed wheel, started as processes.

Knows their command lines alone. In a wheel they lie in a folder of this package, and run from there as from a checkout.
"""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

import tsukiji
from tsukiji.cli.output import AsJson

keys = typer.Typer(no_args_is_help=True, help="API keys; run it where the service's database is.")
admin = typer.Typer(
    no_args_is_help=True, help="Maintenance of the stored data; run it where the service's database and store are."
)

Place = Annotated[str, typer.Argument(metavar="PLACE", help="A folder, or s3://bucket/prefix.")]
BackupName = Annotated[
    str | None, typer.Option("--backup", metavar="NAME", help="Such as 2026-01-31T020000-000; the newest by default.")
]
EndpointUrl = Annotated[
    str | None, typer.Option("--endpoint-url", help="S3-compatible server of the place; the service's by default.")
]
PACKAGED: Final = "_programs"
NEEDED: Final = ("alembic", "fastapi", "fastai", "torch")
"""One module of each extra that the service needs: service, api, training, inference."""
NEEDED_BY_DB: Final = NEEDED[:1]
"""Keys and the care of the store are also for machines that run the API alone."""
HOW_TO_GET: Final = (
    "This is a client-only installation: it lacks {missing}. Install the service as well with "
    "`pip install 'tsukiji[all]'` (in a checkout `make setup`, then `make up`), or use its container images "
    "(docker-compose.yml)."
)


class ProgramsMissing(OSError):
    """The service's programs, or what they need, are not installed here."""


def programs_folder(needed: Sequence[str] = NEEDED) -> Path:
    """Return the folder that holds `api/`, `worker/`, `training/` and `db/`: the checkout, or one inside the wheel.

    Raises:
        ProgramsMissing: what they import is not installed.
    """
    folder = _folder()
    missing = [name for name in needed if find_spec(name) is None]
    if missing or not folder.is_dir():
        raise ProgramsMissing(HOW_TO_GET.format(missing=", ".join(missing) or "the programs"))
    return folder


def data_folder() -> Path:
    """Return where the service that is started here keeps its data: as set, else `tsukiji-data` in the checkout.

    Without a checkout it is in the current folder: nothing is ever kept among installed packages.
    """
    if given := os.environ.get("TSUKIJI_DATA_DIR"):
        return Path(given).absolute()
    folder = _folder()
    return (folder if _is_checkout(folder) else Path.cwd()) / "tsukiji-data"


def _folder() -> Path:
    package = Path(tsukiji.__file__).resolve().parent
    return package.parent if _is_checkout(package.parent) else package / PACKAGED


def _is_checkout(folder: Path) -> bool:
    return (folder / "worker" / "__init__.py").is_file() and (folder / "db").is_dir()


def environment(**settings: object) -> dict[str, str]:
    """Return this process's environment with settings laid over it, and paths made absolute.

    The programs run in their own folder, so a relative path of the caller would mean something else there.
    """
    given = {f"TSUKIJI_{name}": str(value) for name, value in settings.items() if value is not None}
    combined = {**os.environ, **given}
    combined["TSUKIJI_DATA_DIR"] = str(Path(combined.get("TSUKIJI_DATA_DIR") or data_folder()).absolute())
    return combined


def become(*arguments: str, **settings: object) -> NoReturn:
    """Let a program take this process's place, pid and all: signals reach it, and nothing is left if it is killed."""
    ours = environment(**settings)
    os.chdir(programs_folder(NEEDED_BY_DB if arguments[0] == "db" else NEEDED))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", *arguments], ours)  # noqa: S606 - our own program


def up(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; loopback by default.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="8000 by default; 0 chooses a free one.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Folder for all data; tsukiji-data by default.")
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="Show the log; by default, on a terminal, it is written to the data folder."),
    ] = False,
    browser: Annotated[
        bool,
        typer.Option("--browser/--no-browser", help="Open the page, if this is a terminal and there is a browser."),
    ] = True,
) -> None:
    """Run the service and its workers in the foreground; Ctrl-C, SIGTERM or SIGHUP stops everything."""
    flags = (["--verbose"] if verbose else []) + ([] if browser else ["--no-browser"])
    become("worker", "up", *flags, API_HOST=host, API_PORT=port, DATA_DIR=data_dir)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option("--name", help="Who or what uses the key.")],
    scopes: Annotated[
        list[str] | None,
        typer.Option("--scope", help="What it may do: predict, read, label, train, admin; default: admin. Repeatable."),
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="The only data set it sees; default: all. Repeatable.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="The only model or alias it sees; default: all. Repeatable.")
    ] = None,
    expires: Annotated[
        float | None, typer.Option("--expires", metavar="DAYS", help="Days until it stops working; never by default.")
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option("--requests-per-minute", help="Its own rate; by default as the settings say.")
    ] = None,
    pictures_per_day: Annotated[
        int | None, typer.Option("--pictures-per-day", help="Its own quota of pictures; none by default.")
    ] = None,
    project: Annotated[str | None, typer.Option("--project", help="Its project; the default one by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it; it is never shown again."""
    named = {"--scope": scopes, "--dataset": dataset, "--model": model, "--project": project and [project]}
    numbers: dict[str, float | None] = {"--expires": expires, "--requests-per-minute": requests_per_minute}
    numbers |= {"--pictures-per-day": pictures_per_day}
    options = [word for option, values in named.items() for value in values or [] for word in (option, value)]
    options += [word for option, value in numbers.items() if value is not None for word in (option, f"{value:.15g}")]
    become("db", "keys", "create", "--name", name, *options, *json_flag(as_json))


@keys.command("rotate")
def rotate_key(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Key id, or its first eight characters.")],
    overlap_hours: Annotated[
        float, typer.Option("--overlap-hours", min=0, help="How long the present secret still works.")
    ] = 24,
    as_json: AsJson = False,
) -> None:
    """Give a key another secret and print it; the present one works on for a while."""
    become("db", "keys", "rotate", key, "--overlap-hours", f"{overlap_hours:g}", *json_flag(as_json))


@keys.command("ls")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys, without their secrets, which are not stored."""
    become("db", "keys", "ls", *json_flag(as_json))


@keys.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Key id, or its first eight characters.")],
    as_json: AsJson = False,
) -> None:
    """Revoke a key at once."""
    become("db", "keys", "revoke", key, *json_flag(as_json))


@admin.command("retention")
def show_retention(
    days: Annotated[float, typer.Option("--days", min=0, help="Also what falls due within this many days.")] = 0,
    _dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing, as always.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the dispatcher deletes next: how many of each kind, bytes, the oldest, and the setting that says so."""
    become("db", "retention", "--days", f"{days:g}", *json_flag(as_json))


@admin.command("copy")
def copy_database(
    to: Annotated[str, typer.Option("--to", metavar="URL", help="The other database: postgresql://...")],
    as_json: AsJson = False,
) -> None:
    """Copy all rows into another, empty database, as from SQLite to PostgreSQL; the service must be stopped.

    The store is not touched: both databases name the same bytes.
    """
    become("db", "copy", "--to", to, *json_flag(as_json))


@admin.command("backup")
def back_up(
    place: Place,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, metavar="N", help="Delete all but the N newest; by default none."),
    ] = None,
    endpoint_url: EndpointUrl = None,
    as_json: AsJson = False,
) -> None:
    """Copy rows and blobs to a folder or bucket, blobs that are there already excepted; the service may run."""
    options = named(keep=None if keep is None else str(keep), endpoint_url=endpoint_url)
    become("db", "backup", absolute(place), *options, *json_flag(as_json))


@admin.command("restore")
def restore(place: Place, backup: BackupName = None, endpoint_url: EndpointUrl = None, as_json: AsJson = False) -> None:
    """Copy a backup into an empty database and the store; the service must be stopped."""
    options = named(backup=backup, endpoint_url=endpoint_url)
    become("db", "restore", absolute(place), *options, *json_flag(as_json))


@admin.command("verify")
def verify_store(
    place: Annotated[
        str | None, typer.Option("--place", help="Check a backup there, and delete nothing; by default the store.")
    ] = None,
    backup: BackupName = None,
    endpoint_url: EndpointUrl = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing.")] = False,
    read: Annotated[bool, typer.Option("--read", help="Read and hash all stored bytes; slow.")] = False,
    trust_database: Annotated[
        bool,
        typer.Option("--trust-database", help="Delete what the database does not know, even if that is most of it."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the store with the database: list what is missing, and delete old unreferenced bytes.

    May run while the service runs; the service does the same once a day.
    """
    options = {"--dry-run": dry_run, "--read": read, "--trust-database": trust_database}
    given = named(place=place and absolute(place), backup=backup, endpoint_url=endpoint_url)
    become("db", "verify", *given, *(flag for flag, wanted in options.items() if wanted), *json_flag(as_json))


def absolute(place: str) -> str:
    """Return a place of backups for a program that runs in another folder."""
    return place if "://" in place else str(Path(place).absolute())


def named(**values: str | None) -> list[str]:
    """Return the options that have a value."""
    given = ((f"--{name.replace('_', '-')}", value) for name, value in values.items() if value is not None)
    return [word for option in given for word in option]


def json_flag(as_json: bool) -> list[str]:
    return ["--json"] if as_json else []
