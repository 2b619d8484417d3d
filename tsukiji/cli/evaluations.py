"""`tsukiji models evaluate` and `compare`: how good a model is on a data set, and whether another is better."""

from typing import Annotated

import typer

from tsukiji import types
from tsukiji.cli.options import ModelName, Timeout
from tsukiji.cli.output import AsJson, note, print_fields, print_json, print_table, suggest
from tsukiji.cli.report import note_warnings, print_metrics
from tsukiji.cli.short_ids import whole_id
from tsukiji.cli.waiting import wait
from tsukiji.client import Client, Evaluation

CLASSES = 15
"""A terminal shows this many: those that lost or won most."""

SplitName = Annotated[
    types.Split | None,
    typer.Option("--split", help="Only images of this split, as it was in the model's training; all by default."),
]


def evaluate(
    model: ModelName,
    dataset: Annotated[str, typer.Option("--dataset", help="Id or name of a data set with labels.", callback=whole_id)],
    split: SplitName = None,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a model on the labelled images of a data set."""
    with Client() as client:
        found = measured(client, model, dataset, split, timeout)
    if as_json:
        print_json(found)
        return
    print_fields({"evaluation": found.id, "model": found.model_id, "images left out": found.errored})
    print_metrics(found.metrics)
    suggest("models", "mistakes", model)


def compare(
    a: Annotated[
        str, typer.Argument(metavar="A", help="A model (its own evaluation), or an evaluation's id.", callback=whole_id)
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B", help="Another one; the output shows how much better this one is.", callback=whole_id
        ),
    ],
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Evaluate both models on this data set first; by default their own evaluations are compared.",
            callback=whole_id,
        ),
    ] = None,
    split: SplitName = None,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Compare two models on the same images: is B significantly better than A?"""
    if split and dataset is None:
        raise typer.BadParameter("--split requires --dataset")
    with Client() as client:
        pair = [
            measured(client, word, dataset, split, timeout).id if dataset else evaluation_of(client, word)
            for word in (a, b)
        ]
        found = client.evaluations.compare(*pair)
    if as_json:
        print_json(found)
        return
    print_comparison(found)
    if found.difference > 0:
        suggest("models", "promote", b, "production")
    else:
        suggest("models", "mistakes", b)


def measured(client: Client, model: str, dataset: str, split: types.Split | None, timeout: float | None) -> Evaluation:
    """Evaluate, wait, and say what a reader should know first.

    Raises:
        JobError: it did not succeed, or not in time.
    """
    job = client.evaluations.create(model=model, dataset=dataset, split=split)
    note(f"evaluation {job.id}")
    wait(job, timeout).raise_for_status()
    found = job.evaluation
    if found is None:
        raise ValueError(f"{job.id} has finished, but its evaluation was deleted")
    note_warnings(found)
    return found


def evaluation_of(client: Client, word: str) -> str:
    """Return the evaluation that is meant: by its own id, or as that of a model's training."""
    if word.startswith("evl_"):
        return word
    model = client.models.get(word)
    if model.evaluation_id is None:
        raise ValueError(f"{word} has no evaluation; use --dataset to evaluate it")
    return model.evaluation_id


def print_comparison(found: types.Comparison) -> None:
    print_fields(
        {
            "summary": found.summary,
            "images shared": found.images,
            "accuracy": [found.accuracy_a, found.accuracy_b],
            "difference": found.difference,
            **(
                {}
                if found.mean_average_precision_a is None and found.mean_average_precision_b is None
                else {"mean average precision": [found.mean_average_precision_a, found.mean_average_precision_b]}
            ),
            "95% interval": list(found.difference_interval),
            "p": found.p_value,
            "classes worse": found.classes_worse,
            "classes better": found.classes_better,
            "images changed": found.changed,
        }
    )
    moved = sorted((row for row in found.per_class if row.difference), key=lambda row: -abs(row.difference))
    if moved:
        rows = [[row.label, row.images, row.right_a, row.right_b, row.difference, row.p_value] for row in moved]
        print_table(["label", "images", "right in A", "right in B", "difference", "p"], rows, fits=CLASSES, rest=None)
