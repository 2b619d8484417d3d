"""`tsukiji weights`: the pretrained weights on this machine. The work is done by a program beside the workers' code."""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from tsukiji.cli.output import AsJson, note, print_records, text
from tsukiji.cli.programs import environment
from tsukiji.types import BackboneWeights

app = typer.Typer(
    no_args_is_help=True, help="Pretrained weights on this machine; run it where the workers run, with their settings."
)

LISTING: Final = ("pydantic_settings", "numpy", "PIL")
LOADING: Final = (*LISTING, "safetensors", "torch", "torchvision")
"""What the program imports. The client alone has none of it."""

Which = Annotated[
    str | None,
    typer.Option("--weights", help="Which of a backbone's weights, such as ra4; otherwise its default ones."),
]


class WeightsFailed(OSError):
    """The program could not do it; the message is its own."""


@app.command("ls")
def list_weights(as_json: AsJson = False) -> None:
    """List the backbones, and where their pretrained weights are: in the weights folder, or in a library's cache."""
    show(run("ls"), as_json)


@app.command("fetch")
def fetch(
    backbone: Annotated[str, typer.Argument(metavar="BACKBONE", help="A backbone that `tsukiji weights ls` lists.")],
    weights: Which = None,
    as_json: AsJson = False,
) -> None:
    """Download a backbone's weights, as its library does, and put them into the weights folder."""
    show(run("fetch", backbone, *which(weights), needs=LOADING), as_json)


@app.command("add")
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="safetensors, .pth or .pt")],
    backbone: Annotated[
        str | None, typer.Option("--backbone", help="The weights' backbone; detected by default.")
    ] = None,
    weights: Which = None,
    as_json: AsJson = False,
) -> None:
    """Check a file of weights, a state dict of torchvision's or timm's, and put it into the weights folder."""
    named = ["--backbone", backbone] if backbone else []
    show(run("add", str(file.absolute()), *named, *which(weights), needs=LOADING), as_json)


def which(weights: str | None) -> list[str]:
    return ["--weights", weights] if weights else []


def run(*arguments: str, needs: tuple[str, ...] = LISTING) -> list[BackboneWeights]:
    """Have the program do it, as the service on this machine would: with its settings, in its folder.

    Raises:
        WeightsFailed: why it could not.
    """
    if missing := [name for name in needs if find_spec(name) is None]:
        raise WeightsFailed(
            f"This needs {', '.join(missing)}, which is not installed here. Run it where the workers run, or install "
            "it: `make setup` in a checkout, or there pip install '.[service,inference]'."
        )
    command = [sys.executable, "-m", "tsukiji.vision.weights_folder", *arguments]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise WeightsFailed(done.stderr.strip())
    return [BackboneWeights.model_validate_json(line) for line in done.stdout.splitlines()]


def show(found: list[BackboneWeights], as_json: bool) -> None:
    columns: dict[str, Callable[[BackboneWeights], object]] = {
        "backbone": lambda weights: weights.backbone,
        "weights": lambda weights: weights.weights,
        "library": lambda weights: weights.library,
        "place": lambda weights: weights.place or "not here",
        "size": size,
        "path": lambda weights: weights.path,
    }
    print_records(found, columns, as_json)
    if not as_json and any(weights.place is None for weights in found):
        note(
            "A training downloads missing weights, and so does `tsukiji weights fetch BACKBONE`. Without internet, "
            "copy a file here and run `tsukiji weights add FILE`."
        )


def size(weights: BackboneWeights) -> str:
    return text(None) if weights.bytes is None else f"{weights.bytes / 1e6:.1f} MB"
