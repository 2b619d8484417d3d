"""`tsukiji report`: what is known of a model in one HTML file, for people who have no service."""

import shlex
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import typer

from tsukiji import types
from tsukiji.cli.classify import PRODUCTION
from tsukiji.cli.files import written
from tsukiji.cli.matrix import most_confused
from tsukiji.cli.options import ModelName
from tsukiji.cli.output import AsJson, print_fields, print_json
from tsukiji.cli.report_page import Facts, Mistake, render
from tsukiji.client import Client, Evaluation, Model, NotFoundError
from tsukiji.names import path_safe

FEW: Final = 20
"""A label with fewer held-out images is known too roughly."""
NAMED: Final = 5
SURE: Final = 0.9
"""A mistake with at least this probability is often a wrong label."""


def report(
    model: ModelName,
    target: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file to write; the model's name with .html by default.")
    ] = None,
    mistakes: Annotated[int, typer.Option("--mistakes", min=0, help="How many of the worst mistakes to show.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Write a report on a model as one HTML file: matrix, curves, the worst mistakes, what to do next.

    It has no scripts and loads nothing, so it can be sent, kept and printed.
    """
    with Client() as client:
        found = client.models.get(model)
        evaluation = found.evaluation
        if evaluation is None:
            raise ValueError(
                f"{model} has no evaluation; `tsukiji models evaluate MODEL --dataset DATASET` creates one"
            )
        wrong = list(worst(evaluation, mistakes))
        facts = Facts(
            model=found,
            evaluation=evaluation,
            epochs=epochs_of(client, found),
            mistakes=[Mistake(item, picture_of(client, item)) for item in wrong],
            advice=list(advice(found, evaluation, wrong)),
        )
    path = target or Path(f"{path_safe(found.name)}.html")
    with written(path) as file:
        file.write(render(facts))
    if as_json:
        print_json({"model": found.id, "path": str(path), "bytes": path.stat().st_size})
    else:
        print_fields({"report": path, "bytes": f"{path.stat().st_size:,}"})


def worst(evaluation: Evaluation, wanted: int) -> Iterator[types.EvaluationItem]:
    wrong = (item for item in evaluation.items(order="loss") if item.true_labels != item.predicted_labels)
    return islice(wrong, wanted)


def picture_of(client: Client, item: types.EvaluationItem) -> bytes | None:
    """Return the thumbnail of an image, None of one that was deleted."""
    if item.image_id:
        with suppress(NotFoundError):
            return client.images.content(item.image_id, "thumb")
    return None


def epochs_of(client: Client, model: Model) -> list[types.EpochMetrics]:
    if model.training_id:
        with suppress(NotFoundError):
            return list(client.trainings.get(model.training_id).metrics())
    return []


def advice(model: Model, evaluation: Evaluation, wrong: list[types.EvaluationItem]) -> Iterator[tuple[str, str | None]]:
    """Yield what to do next, each with a command where there is one."""
    name, metrics = shlex.quote(model.name), evaluation.metrics
    for warning in evaluation.warnings:
        yield str(warning.get("detail")), None
    if next(iter(model.suspects()), None):
        yield "Some labels of the data set may be wrong. Look at them first.", f"tsukiji models suspects {name}"
    elif any(item.score >= SURE for item in wrong):
        yield "The model is sure of some of its mistakes: are those labels right?", f"tsukiji models mistakes {name}"
    if pairs := most_confused(metrics):
        true, predicted, count = pairs[0]
        images = "image is" if count == 1 else "images are"
        yield f"Most confused: {count} {images} “{true}” and taken for “{predicted}”. More images of both help.", None
    few = [row.label for row in metrics.per_class if row.support < FEW]
    if few:
        more = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
        labels = f"{', '.join(few[:NAMED])}{more}"
        yield f"Fewer than {FEW} held-out images, so these figures are rough: {labels}. Add images.", None
    if PRODUCTION not in model.aliases:
        yield "Good enough? Put it into production.", f"tsukiji models promote {name} {PRODUCTION}"
