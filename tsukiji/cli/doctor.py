"""`tsukiji doctor`: look at everything the main job needs, a line each, with a way out for what is missing."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import typer
from pydantic import ValidationError

from tsukiji.cli.doctor_machine import machine, serves_here
from tsukiji.cli.doctor_service import service
from tsukiji.cli.outcomes import ExitCode
from tsukiji.cli.output import AsJson, note, print_records
from tsukiji.cli.programs import environment, programs_folder
from tsukiji.types.diagnoses import Diagnosis, problem

PROGRAM = "db.doctor"


def doctor(as_json: AsJson = False) -> None:
    """Find the usual mistakes of a set-up: machine, service, key, workers, database, store, broker, proxies."""
    found = [*machine(), *service(), *(programs() if serves_here() else ())]
    columns: dict[str, Callable[[Diagnosis], object]] = {
        "check": lambda one: one.check,
        "": lambda one: "PROBLEM" if not one.ok else "warning" if one.warning else "ok",
        "found": lambda one: one.detail,
    }
    print_records(found, columns, as_json)
    for one in found:
        if (one.warning or not one.ok) and one.hint:
            note(f"{one.check}: {one.hint}", style="yellow")
    if not all(one.ok for one in found):
        raise typer.Exit(ExitCode.OTHER)


def programs() -> Iterator[Diagnosis]:
    """Have the database's program look, with the service's settings."""
    command = [sys.executable, "-m", PROGRAM]
    done = subprocess.run(
        command, cwd=programs_folder(), env=environment(), capture_output=True, text=True, check=False
    )
    try:
        found = [Diagnosis.model_validate_json(line) for line in done.stdout.splitlines()]
    except ValidationError:
        found = []
    if found:
        yield from found
        return
    last = done.stderr.strip().rpartition("\n")[2]
    hint = "Install them again: `pip install 'tsukiji[all]'`."
    yield problem("programs", f"they do not start: {last[:300]}", hint)
