"""The tree of commands. Knows their names, nothing of what they do."""

from typing import Annotated

import typer

from tsukiji import __version__
from tsukiji.cli import datasets, fix, jobs, models, programs, results, snapshots, uploads, weights
from tsukiji.cli.classify import classify, predict
from tsukiji.cli.demo import demo
from tsukiji.cli.doctor import doctor
from tsukiji.cli.imports import import_pictures
from tsukiji.cli.outcomes import Outcomes
from tsukiji.cli.train import train

app = typer.Typer(
    cls=Outcomes,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tsukiji {__version__}")
        raise typer.Exit


@app.callback()
def root(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; may also stand after the command.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Sort pictures: train a classifier on folders of images, then label images by the thousand.

    TSUKIJI_URL and TSUKIJI_API_KEY say which service to talk to.
    """


app.command("up")(programs.up)
app.command("demo")(demo)
app.command("doctor")(doctor)
datasets.app.command("images")(fix.list_images)
datasets.app.command("fix")(fix.fix)
datasets.app.command("log")(fix.show_log)
datasets.app.command("snapshot")(snapshots.take_snapshot)
datasets.app.command("snapshots")(snapshots.list_snapshots)
datasets.app.command("diff")(snapshots.diff)
datasets.app.command("export")(snapshots.export)
datasets.app.command("import")(import_pictures)
app.add_typer(datasets.app, name="datasets")
app.add_typer(uploads.app, name="uploads")
app.command("train")(train)
app.add_typer(models.app, name="models")
app.add_typer(weights.app, name="weights")
app.command("classify")(classify)
app.command("predict")(predict)
app.add_typer(results.app, name="results")
app.add_typer(jobs.app, name="jobs")
app.add_typer(programs.keys, name="keys")
