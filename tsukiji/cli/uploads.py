"""`tsukiji uploads`: large files in parts, before anything is started with them."""

from pathlib import Path
from typing import Annotated

import typer

from tsukiji.cli.options import Limit, print_deleted
from tsukiji.cli.output import FITS, AsJson, print_fields, print_json, print_records
from tsukiji.cli.short_ids import whole_id
from tsukiji.cli.waiting import sending
from tsukiji.client import Client

app = typer.Typer(no_args_is_help=True, help="Large files in parts; `classify` and `datasets import` also use them.")


@app.command("send")
def send(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="An archive.")],
    as_json: AsJson = False,
) -> None:
    """Send a file in parts and print its id. Run again after an interruption, it sends only what is missing."""
    with Client() as client, sending(file) as progress:
        upload = client.uploads.send(file, progress)
    if as_json:
        print_json(upload)
    else:
        print_fields({"upload": upload.id, "sha256": upload.sha256, "kept until": upload.expires_at})


@app.command("ls")
def list_uploads(limit: Limit = None, as_json: AsJson = False) -> None:
    """List the uploads that the service keeps, unfinished ones too."""
    columns = {
        "name": lambda upload: upload.name,
        "status": lambda upload: upload.status,
        "confirmed": lambda upload: f"{upload.bytes_confirmed:,} of {upload.bytes:,}",
        "kept until": lambda upload: upload.expires_at,
        "id": lambda upload: upload.id,
    }
    with Client() as client:
        print_records(client.uploads.list(), columns, as_json, limit, FITS)


@app.command("rm")
def remove(
    upload: Annotated[str, typer.Argument(metavar="UPLOAD", help="Id of an upload.", callback=whole_id)],
    as_json: AsJson = False,
) -> None:
    """Delete an upload; jobs that were started with it continue."""
    with Client() as client:
        client.uploads.delete(upload)
    print_deleted(upload, as_json)
