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
    key: Annotated[str | None, typer.Option("--key", help="By this key: its id or name; default: any.")] = None,
    act: Annotated[str | None, typer.Option("--act", help="This operation, as create_training; default: any.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="What was done to this: its id or name; default: anything.")
    ] = None,
    since: Annotated[datetime | None, typer.Option("--since", help="From then on; default: the beginning.")] = None,
    until: Annotated[datetime | None, typer.Option("--until", help="Before then; default: now.")] = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List who did what, when, from where; for administrators.

    Newest first; `--json` exports all as JSON lines.
    """
    with Client() as client:
        found = client.audit.list(key=key, act=act, subject=subject, since=since, until=until)
        print_records(found, COLUMNS, as_json, limit, FITS)
