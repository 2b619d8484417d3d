"""The programs beside the client: found in a checkout, started as processes. Knows their command lines alone.

The wheel holds the client and this command line; `up`, `keys` and `demo` need a checkout, installed editable.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

import tsukiji
from tsukiji.cli.output import AsJson

keys = typer.Typer(no_args_is_help=True, help="API keys; needs to run where the service's database is.")
admin = typer.Typer(
    no_args_is_help=True, help="Care of what the service keeps; needs to run where its database and store are."
)

HOW_TO_GET: Final = (
    "This installation holds the client alone. The service runs from a checkout of the repository (`make setup`, then "
    "`make up`) or from its container images (docker-compose.yml)."
)


class ProgramsMissing(OSError):
    """There is no checkout around this installation."""


def checkout() -> Path:
    """Return the folder that holds `worker/` and `db/`.

    Raises:
        ProgramsMissing: there is none.
    """
    root = Path(tsukiji.__file__).resolve().parents[1]
    if not ((root / "worker" / "__init__.py").is_file() and (root / "db").is_dir()):
        raise ProgramsMissing(HOW_TO_GET)
    return root


def environment(**settings: object) -> dict[str, str]:
    """Return this process's environment with settings laid over it, and paths made absolute.

    The programs run in the checkout's folder, so a relative path of the caller would mean something else there.
    """
    given = {f"TSUKIJI_{name}": str(value) for name, value in settings.items() if value is not None}
    combined = {**os.environ, **given}
    if combined.get("TSUKIJI_DATA_DIR"):
        combined["TSUKIJI_DATA_DIR"] = str(Path(combined["TSUKIJI_DATA_DIR"]).absolute())
    return combined


def become(*arguments: str, **settings: object) -> NoReturn:
    """Let a program take this process's place, pid and all: signals reach it, and nothing is left if it is killed."""
    ours = environment(**settings)
    os.chdir(checkout())
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", *arguments], ours)  # noqa: S606 - our own program


def up(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; loopback by default.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="8000 by default; 0 takes a free one.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Where everything is kept; tsukiji-data by default.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show the log; on a terminal it goes into the data folder by default.")
    ] = False,
) -> None:
    """Run the service and its workers in the foreground; Ctrl-C, SIGTERM or SIGHUP stop everything."""
    become("worker", "up", *(["--verbose"] if verbose else []), API_HOST=host, API_PORT=port, DATA_DIR=data_dir)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option("--name", help="Who or what will use it.")], as_json: AsJson = False
) -> None:
    """Make a key and print it: this once, and never again."""
    become("db", "keys", "create", "--name", name, *json_flag(as_json))


@keys.command("ls")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys; not the secrets, which nobody holds."""
    become("db", "keys", "ls", *json_flag(as_json))


@keys.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Id of a key, or its first eight characters.")],
    as_json: AsJson = False,
) -> None:
    """End a key at once."""
    become("db", "keys", "revoke", key, *json_flag(as_json))


@admin.callback()
def admin_commands() -> None:
    """Keep `verify` a command of its own: of one command alone, Typer makes the group."""


@admin.command("verify")
def verify_store(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing.")] = False,
    read: Annotated[bool, typer.Option("--read", help="Read and hash all bytes; takes as long as that does.")] = False,
    trust_database: Annotated[
        bool, typer.Option("--trust-database", help="Delete what the database does not know, even if it is most.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Hold the store against the database: name what is missing, and delete old bytes that nothing refers to.

    May run beside the service, which does the same once a day.
    """
    wishes = {"--dry-run": dry_run, "--read": read, "--trust-database": trust_database}
    become("db", "verify", *(flag for flag, wanted in wishes.items() if wanted), *json_flag(as_json))


def json_flag(as_json: bool) -> list[str]:
    return ["--json"] if as_json else []
