"""The tree of commands. Knows their names and where they are; imports one when it is run, so that help is instant."""

import importlib
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from tsukiji import __version__

COMMANDS: Final = {
    "up": (
        "programs:up",
        "Run the service and its workers in the foreground; Ctrl-C, SIGTERM or SIGHUP stops everything.",
    ),
    "open": ("open_page:open_page", "Open the page in a browser, signed in by a link that works once."),
    "demo": ("demo:demo", "Run the whole workflow, from pictures to labels; the last line is one JSON object."),
    "doctor": (
        "doctor:doctor",
        "Find the usual mistakes of a set-up: machine, service, key, workers, database, store, broker, proxies.",
    ),
    "limits": ("limits:show_limits", "Show the service's limits: sizes, counts, times."),
    "watch": ("watch:watch", "Follow all jobs, live; Ctrl-C stops watching, not the jobs."),
    "train": ("train:train", "Train a model and print how good it is."),
    "report": (
        "model_report:report",
        "Write a report on a model as one HTML file: matrix, curves, the worst mistakes, what to do next.",
    ),
    "classify": ("classify:classify", "Label pictures in the background and wait for the results."),
    "predict": ("classify:predict", "Label up to 16 pictures at once."),
    "batch-ray": ("batch_ray:batch_ray", "Label a folder or S3 prefix on a Ray cluster of your own."),
    "datasets": ("datasets:app", "Labelled pictures that the service keeps."),
    "uploads": ("uploads:app", "Large files in parts; `classify` and `datasets import` also use them."),
    "models": ("models:app", "Trained models, and the aliases that point to them."),
    "weights": ("weights:app", "Pretrained weights on this machine."),
    "results": ("results:app", "Results of a batch, also while it runs."),
    "jobs": ("jobs:app", "Trainings, batches, predictions, imports, evaluations, analyses and exports."),
    "webhooks": ("webhooks:app", "Addresses that are told when jobs end and models are promoted."),
    "projects": ("projects:app", "Projects: the keys of one see nothing of another; for administrators."),
    "audit": ("audit:audit", "List who did what, when, from where; for administrators."),
    "people": ("people:app", "People who sign in by an OpenID provider, and invitations."),
    "keys": ("programs:keys", "API keys; run it where the service's database is."),
    "admin": ("programs:admin", "Maintenance of the stored data; run it where the service's database and store are."),
}
"""Each command's module and name in it, and what the list of commands says of it."""


WORDS: Final = "tsukiji.words"
"""Where a run keeps the words that name its command."""


def late(module: str) -> Any:
    """Import a part of the command line when a command is run: `--help` waits for none of them."""
    return importlib.import_module(f"tsukiji.cli.{module}")  # noqa: TID251 - lazy, as click documents it


def leaves(command: Any) -> Iterator[Any]:
    """Yield a command, or all that a group holds."""
    children = getattr(command, "commands", None)
    if children is None:
        yield command
    else:
        for child in children.values():
            yield from leaves(child)


def set_quiet(wanted: bool) -> None:
    late("output").be_quiet(wanted)


def quiet_option() -> Any:
    """Return the option that every command has, as Typer makes it for one."""
    tree = typer.Typer(add_completion=False)

    @tree.command()
    def _any(
        _quiet: Annotated[
            bool,
            typer.Option(
                "--quiet",
                "-q",
                expose_value=False,
                callback=set_quiet,
                help="Print no progress and no hints, only results, warnings and errors.",
            ),
        ] = False,
    ) -> None: ...

    return typer.main.get_command(tree).params[0]


class Later(TyperCommand):
    """A command that is imported when it is run; the list of commands needs but its name and a sentence."""

    def __init__(self, name: str, place: str, summary: str) -> None:
        super().__init__(name, help=summary)
        self.place = place

    def load(self) -> Any:
        """Import the command, or the group of commands."""
        module, _, name = self.place.partition(":")
        found = getattr(late(module), name)
        tree = typer.Typer(pretty_exceptions_enable=False)
        if isinstance(found, typer.Typer):
            tree.add_typer(found, name=self.name)
        else:
            tree.command(self.name)(found)
        loaded = typer.main.get_group(tree).commands[self.name or ""]
        for command in leaves(loaded):
            command.params.append(quiet_option())
        return loaded

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        return self.load().make_context(*arguments, **options)


class Root(TyperGroup):
    """The root of all commands: turns the errors that are expected into a sentence and an exit code."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands.update((name, Later(name, *rest)) for name, rest in COMMANDS.items())

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader of our output has closed it
        except Exception as error:
            outcomes = late("outcomes")
            if not isinstance(error, outcomes.EXPECTED):
                raise
            names = late("wording").names_of(self.invoked(ctx).params)
            raise typer.Exit(outcomes.tell(error, names)) from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        ctx.meta[WORDS] = args[:2]
        return super().resolve_command(ctx, args)

    def invoked(self, ctx: Any) -> Any:
        """Return the command that was run."""
        first, *rest = ctx.meta[WORDS]
        found: Any = self.commands[first]
        whole = found.load()
        return getattr(whole, "commands", {}).get(rest[0] if rest else None, whole)


app = typer.Typer(
    cls=Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tsukiji {__version__}")
        raise typer.Exit


@app.callback()
def root(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; may also follow the command.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Sort pictures: train a classifier on folders of images, then label images by the thousand.

    TSUKIJI_URL and TSUKIJI_API_KEY choose the service.
    """
