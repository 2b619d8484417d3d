"""`tsukiji audit`: who did what."""

from datetime import datetime
from typing import Annotated

import typer

from tsukiji.cli.options import Limit
from tsukiji.cli.output import FITS, AsJson, print_records
from tsukiji.client import Client

COLUMNS = {
    "at": lambda entry: entry.at,
    "key": lambda entry: entry.name,
    "act": lambda entry: entry.act,
    "address": lambda entry: entry.address,
    "created": lambda entry: entry.subject,
    "from": lambda entry: entry.client,
}


def audit(
    key: Annotated[str | None, typer.Option("--key", help="Only by this key: its id or name.")] = None,
    act: Annotated[str | None, typer.Option("--act", help="Only this operation, such as create_training.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="Only what was done to this, by its id or name.")
    ] = None,
    since: Annotated[datetime | None, typer.Option("--since", help="Only from then on.")] = None,
    until: Annotated[datetime | None, typer.Option("--until", help="Only before then.")] = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List who did what, when, from where, newest first; `--json` exports it as JSON lines."""
    with Client() as client:
        found = client.audit.list(key=key, act=act, subject=subject, since=since, until=until)
        print_records(found, COLUMNS, as_json, limit, FITS)
