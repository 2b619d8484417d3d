"""`tsukiji batch-ray`: a batch on a Ray cluster of one's own, followed and read as others are."""

import json
import subprocess
import sys
from typing import Annotated, Final

import typer

from tsukiji.cli.classify import MinKnown, ModelOption, Threshold, finish, meant
from tsukiji.cli.outcomes import ExitCode
from tsukiji.cli.output import AsJson, note, suggest
from tsukiji.cli.programs import programs_folder
from tsukiji.cli.short_ids import short_id
from tsukiji.client import Client

NEEDED: Final = ("ray", "sqlalchemy", "torch")


def batch_ray(
    source: Annotated[str, typer.Option("--source", help="URL of the folder or S3 prefix to classify.")],
    output: Annotated[str, typer.Option("--output", help="URL of the folder or S3 prefix for the Parquet parts.")],
    model: ModelOption = None,
    threshold: Threshold = 0.0,
    min_known: MinKnown = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Of the cluster, as for `ray.init`; by default Ray starts here.")
    ] = None,
    actors: Annotated[int | None, typer.Option("--actors", min=1, help="At most; by default all that fit.")] = None,
    cpus: Annotated[
        int | None, typer.Option("--cpus", min=1, help="Of each actor; by default those of the smallest node.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Label a folder or S3 prefix on a Ray cluster of your own. The service keeps the job and reads the results.

    The nodes need `tsukiji[service,inference,ray]` of the service's version, and access to source and output.
    """
    folder = programs_folder(NEEDED)
    with Client() as client:
        order = {
            "model": model or meant(client, "tsukiji batch-ray"),
            "source": source,
            "output": output,
            "threshold": threshold,
            "min_known": min_known,
            "address": address,
            "actors": actors,
            "cpus": cpus,
        }
        command = [sys.executable, "-m", "worker.ray_batches"]
        done = subprocess.run(
            command, cwd=folder, input=json.dumps(order), stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            raise typer.Exit(ExitCode.OTHER)
        batch = client.batches.get(done.stdout.strip())
        note(f"batch {batch.id}; its parts are a table in {output}")
        finish(batch, None, as_json)
        suggest("results", "summary", short_id(batch.id))
