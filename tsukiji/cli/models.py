"""`tsukiji models`: what was trained."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Literal

import typer

from tsukiji import types
from tsukiji.cli import evaluations
from tsukiji.cli.classify import PRODUCTION
from tsukiji.cli.options import Limit, ModelName, Yes, confirm, print_deleted
from tsukiji.cli.output import (
    ERR,
    FITS,
    OUT,
    AsJson,
    labels_of,
    note,
    print_fields,
    print_json,
    print_records,
    suggest,
)
from tsukiji.cli.report import note_warnings, print_metrics
from tsukiji.cli.short_ids import whole_id
from tsukiji.cli.thumbnails import PicturesOption, protocol_of, show_pictures
from tsukiji.cli.verify import verify
from tsukiji.cli.waiting import wait
from tsukiji.client import Client, Model, NotFoundError

Format = Literal["package", "onnx", "fastai"]
SUFFIXES: Final[dict[Format, str]] = {"package": ".zip", "onnx": ".onnx", "fastai": ".pkl"}

app = typer.Typer(no_args_is_help=True, help="Trained models, and the aliases that point to them.")

ALIAS_COLUMNS: Final[dict[str, Callable[[types.Alias], Any]]] = {
    "alias": lambda alias: alias.name,
    "model": lambda alias: alias.model_id,
    "since": lambda alias: alias.updated_at,
}
PICTURES_SHOWN: Final = 6
MISTAKE_COLUMNS: Final[dict[str, Callable[[types.EvaluationItem], Any]]] = {
    "image": lambda found: found.name,
    "is": lambda found: labels_of(found.true_label, found.true_labels),
    "taken for": lambda found: labels_of(found.predicted_label, found.predicted_labels),
    "score": lambda found: found.score,
    "loss": lambda found: found.loss,
}
DRIFT_COLUMNS: Final[dict[str, Callable[[types.BatchDrift], Any]]] = {
    "batch": lambda found: found.batch_id,
    "images": lambda found: found.images,
    "strange": lambda found: found.strange,
    "expected": lambda found: found.expected,
    "": lambda found: "DRIFT" if found.exceeded else None,
    "labels": lambda found: found.label_distance,
    "embeddings": lambda found: found.embedding_distance,
    "created": lambda found: found.created_at,
}
SUSPECT_COLUMNS: Final[dict[str, Callable[[types.LabelSuspect], Any]]] = {
    "image": lambda found: found.name,
    "label": lambda found: found.label or found.labels,
    "suggested": lambda found: found.suggested_label or found.suggested_labels,
    "score": lambda found: found.score,
    "split": lambda found: found.split,
}


@app.command("ls")
def list_models(limit: Limit = None, as_json: AsJson = False) -> None:
    """List the models."""
    columns = {
        "name": lambda model: model.name,
        "accuracy": lambda model: model.accuracy,
        "labels": lambda model: len(model.label_names),
        "aliases": lambda model: model.aliases,
        "created": lambda model: model.created_at,
        "id": lambda model: model.id,
    }
    with Client() as client:
        print_records(client.models.list(), columns, as_json, limit, FITS)


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
            note_warnings(evaluation)
            print_metrics(evaluation.metrics)


@app.command("export")
def export(
    model: ModelName,
    target: Annotated[Path | None, typer.Option("-o", "--output", help="The file to write; ID.zip by default.")] = None,
    wanted: Annotated[Format, typer.Option("--format", help="A pickle (fastai) runs code when opened.")] = "package",
    as_json: AsJson = False,
) -> None:
    """Save a model's package (weights without pickle, labels, preprocessing, evaluation), or the model as ONNX."""
    with Client() as client:
        found = client.models.get(model)
        path = target or Path(f"{found.id}{SUFFIXES[wanted]}")
        if wanted == "package":
            found.download(path)
        else:
            wait(found.export(wanted)).raise_for_status()
            client.models.download_export(found, wanted, path)
    if as_json:
        print_json({"model": found.id, "path": str(path), "bytes": path.stat().st_size})
    else:
        print_fields({"model": found.id, "path": path})


@app.command("import")
def import_package(
    package: Annotated[Path, typer.Argument(metavar="PATH", help="The zip that `models export` wrote.")],
    name: Annotated[str | None, typer.Option("--name", help="Name of the model; the file's name by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Import a model of another service; it gets a new id."""
    with Client() as client:
        found = client.models.import_package(package, name)
    if as_json:
        print_json(found)
    else:
        show_model(found)


app.command("verify")(verify)


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
    name: Annotated[str | None, typer.Argument(help="The alias, such as production; without it, list all.")] = None,
    model: Annotated[str | None, typer.Argument(help="The model to point it to.", callback=whole_id)] = None,
    remove: Annotated[bool, typer.Option("--rm", help="Delete the alias.")] = False,
    as_json: AsJson = False,
) -> None:
    """List aliases; show, set or delete one."""
    if remove and (name is None or model is not None):
        raise typer.BadParameter("--rm takes one alias and no model")
    with Client() as client:
        if remove and name:
            client.aliases.delete(name)
            note(f"deleted alias {name}; its model is kept")
        elif name is None:
            print_records(client.aliases.list(), ALIAS_COLUMNS, as_json)
        else:
            found = client.aliases.set(name, model) if model else client.aliases.get(name)
            print_records([found], ALIAS_COLUMNS, as_json)


@app.command("promote")
def promote(
    model: ModelName,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="The alias to set.")],
    target_error: Annotated[
        float | None,
        typer.Option("--target-error", min=0, max=0.5, help="Of what is classified by it without a --threshold."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Point an alias to a model; `rollback` undoes it."""
    with Client() as client:
        print_records([client.aliases.set(alias, model, target_error=target_error)], ALIAS_COLUMNS, as_json)
    suggest("classify", "FOLDER", *([] if alias == PRODUCTION else ["--model", alias]))


@app.command("rollback")
def roll_back(
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="An alias, such as production.")],
    as_json: AsJson = False,
) -> None:
    """Point an alias to its previous model; running it twice restores the current one."""
    with Client() as client:
        print_records([client.aliases.rollback(alias)], ALIAS_COLUMNS, as_json)


@app.command("drift")
def show_drift(model: ModelName, as_json: AsJson = False) -> None:
    """Compare a model's newest batches with its held-out pictures."""
    with Client() as client:
        found = client.models.get(model).drift()
    if as_json:
        print_json(found)
        return
    print_records(found.data, DRIFT_COLUMNS, as_json)
    if found.held_out is None:
        note("The model comes from an earlier version: there is nothing to compare with; train it again.")


app.command("evaluate")(evaluations.evaluate)
app.command("compare")(evaluations.compare)


@app.command("mistakes")
def list_mistakes(
    model: ModelName, limit: Limit = None, pictures: PicturesOption = "auto", as_json: AsJson = False
) -> None:
    """List the held-out images that a model gets wrong, worst first; the worst as pictures, where they are shown."""
    with Client() as client:
        evaluation = client.models.get(model).evaluation
        if evaluation is None:
            raise ValueError(
                f"{model} has no evaluation; `tsukiji models evaluate MODEL --dataset DATASET` creates one"
            )
        wrong = (item for item in evaluation.items(order="loss") if item.true_labels != item.predicted_labels)
        shown = list(islice(wrong, limit or (FITS + 1 if OUT.is_terminal and not as_json else None)))
        if not as_json and (protocol := protocol_of(pictures)) != "none":
            worst_first = islice(thumbnails(client, shown), PICTURES_SHOWN)
            show_pictures([(picture, caption(item)) for item, picture in worst_first], protocol)
        print_records(shown, MISTAKE_COLUMNS, as_json, limit, FITS)
        worst = next((item for item in shown if item.image_id and item.predicted_label), None)
        if worst and evaluation.dataset_id and ERR.is_terminal:
            suggest_relabel(client, evaluation.dataset_id, worst.image_id or "", worst.predicted_label or "")


@app.command("suspects")
def list_suspects(model: ModelName, limit: Limit = None, as_json: AsJson = False) -> None:
    """List the images whose labels may be wrong, most suspicious first."""
    with Client() as client:
        found = client.models.get(model)
        shown = list(islice(found.suspects(), limit or (FITS + 1 if OUT.is_terminal and not as_json else None)))
        print_records(shown, SUSPECT_COLUMNS, as_json, limit, FITS)
        worst = next((row for row in shown if row.image_id and row.suggested_label), None)
        if worst and found.dataset_id and ERR.is_terminal:
            suggest_relabel(client, found.dataset_id, worst.image_id or "", worst.suggested_label or "")


def thumbnails(client: Client, items: Iterable[types.EvaluationItem]) -> Iterator[tuple[types.EvaluationItem, bytes]]:
    """Yield the pictures that are still there."""
    for item in items:
        with suppress(NotFoundError):
            if item.image_id:
                yield item, client.images.content(item.image_id, "thumb")


def caption(item: types.EvaluationItem) -> list[str]:
    true = labels_of(item.true_label, item.true_labels)
    predicted = labels_of(item.predicted_label, item.predicted_labels)
    return [PurePosixPath(item.name).name, f"is {true}", f"taken for {predicted} {item.score:.2f}"]


def suggest_relabel(client: Client, dataset: str, image: str, label: str) -> None:
    """Name the command that gives an image another label, in the data set that it comes from if that is there."""
    with suppress(NotFoundError):
        suggest("datasets", "fix", client.datasets.get(dataset).name, "--image", image, "--relabel", label)


def show_model(model: Model) -> None:
    print_fields(
        {
            "name": model.name,
            "id": model.id,
            "aliases": model.aliases,
            "kind": model.kind,
            "labels": model.label_names,
            "backbone": model.backbone,
            "pretrained": model.pretrained,
            "image size": model.image_size,
            "preset": model.recipe.get("preset"),
            "imported from": model.imported_from,
            "created": model.created_at,
        }
    )
