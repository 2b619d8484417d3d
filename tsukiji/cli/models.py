"""`tsukiji models`: what was trained."""

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from tsukiji.cli.datasets import Limit, Yes, confirm, print_deleted
from tsukiji.cli.output import AsJson, note, print_fields, print_json, print_records
from tsukiji.cli.report import print_metrics
from tsukiji.client import Client, Model

app = typer.Typer(no_args_is_help=True, help="What was trained, and the aliases that name it.")

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="Id, alias or name of a model.")]


@app.command("ls")
def list_models(limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the models."""
    columns = {
        "id": lambda model: model.id,
        "name": lambda model: model.name,
        "accuracy": lambda model: model.accuracy,
        "labels": lambda model: len(model.label_names),
        "aliases": lambda model: model.aliases,
        "created": lambda model: model.created_at,
    }
    with Client() as client:
        print_records(islice(client.models.list(), limit), columns, as_json)


@app.command("show")
def show(model: ModelName, as_json: AsJson = False) -> None:
    """Show a model and how good it is."""
    with Client() as client:
        found = client.models.get(model)
        if as_json:
            print_json(found)
            return
        show_model(found)
        evaluation = found.evaluation
        if evaluation:
            print_metrics(evaluation.metrics)


@app.command("export")
def export(
    model: ModelName,
    target: Annotated[Path | None, typer.Option("-o", "--output", help="The zip to write; ID.zip by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Save a model's package: weights without pickle, labels, preprocessing, evaluation."""
    with Client() as client:
        found = client.models.get(model)
        path = found.download(target or Path(f"{found.id}.zip"))
    if as_json:
        print_json({"model": found.id, "path": str(path), "bytes": path.stat().st_size})
    else:
        print_fields({"model": found.id, "path": path})


@app.command("rm")
def remove(model: ModelName, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a model."""
    with Client() as client:
        found = client.models.get(model)
        confirm(f"Delete model {found.name} ({found.id})?", yes)
        client.models.delete(found)
    print_deleted(found.id, as_json)


@app.command("alias")
def alias(
    name: Annotated[str | None, typer.Argument(help="The alias, such as production; none lists all.")] = None,
    model: Annotated[str | None, typer.Argument(help="The model it stands for from now on.")] = None,
    remove: Annotated[bool, typer.Option("--rm", help="Take the alias away.")] = False,
    as_json: AsJson = False,
) -> None:
    """List aliases, look one up, set it, or take it away."""
    columns = {
        "alias": lambda alias: alias.name,
        "model": lambda alias: alias.model_id,
        "since": lambda alias: alias.updated_at,
    }
    if remove and (name is None or model is not None):
        raise typer.BadParameter("--rm takes the name of one alias")
    with Client() as client:
        if remove and name:
            client.aliases.delete(name)
            note(f"alias {name} is gone; its model stays")
        elif name is None:
            print_records(client.aliases.list(), columns, as_json)
        else:
            print_records([client.aliases.set(name, model) if model else client.aliases.get(name)], columns, as_json)


def show_model(model: Model) -> None:
    print_fields(
        {
            "id": model.id,
            "name": model.name,
            "aliases": model.aliases,
            "labels": model.label_names,
            "backbone": model.backbone,
            "pretrained": model.pretrained,
            "image size": model.image_size,
            "created": model.created_at,
        }
    )
