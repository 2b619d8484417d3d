import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import tsukiji
from devtools.scripted_service import Answer, dataset, job, lines, model, page, prediction
from tsukiji.cli.app import COMMANDS, Later, app
from tsukiji.types import Recipe

HEAVY = {"torch", "celery", "sqlalchemy", "PIL", "pydantic_settings", "boto3", "fastapi", "numpy"}


def test_the_command_line_brings_nothing_heavy():
    code = "import tsukiji.cli, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)


def test_version(run):
    assert run("--version").stdout == f"tsukiji {tsukiji.__version__}\n"


def test_json_may_stand_before_or_after_the_command(service, run):
    service.answer("GET", "/v1/datasets", page(dataset()))
    before, after = run("--json", "datasets", "ls"), run("datasets", "ls", "--json")
    assert before.stdout == after.stdout
    assert before.stdout.startswith('{"object":"dataset"')


def tree():
    """Every command by its words."""

    def descend(command, words):
        command = command.load() if isinstance(command, Later) else command
        if hasattr(command, "commands"):
            for name, child in command.commands.items():
                yield from descend(child, [*words, name])
        else:
            yield " ".join(words), command

    return dict(descend(typer.main.get_command(app), []))


TREE = tree()


@pytest.mark.parametrize("words", TREE)
def test_every_command_explains_itself(run, words):
    shown = run(*words.split(), "--help")
    assert shown.exit_code == 0
    assert f"{words} [OPTIONS]" in shown.stdout


@pytest.mark.parametrize("words", TREE)
def test_every_option_and_argument_is_described(words):
    assert TREE[words].help
    silent = [option.name for option in TREE[words].params if not getattr(option, "help", None)]
    assert silent == []


def test_the_list_of_commands_says_what_each_says_of_itself():
    for name, (place, summary) in COMMANDS.items():
        told = Later(name, place, summary).load().help
        assert told.startswith(summary.rstrip(".")), name


def test_help_imports_no_client_and_no_types():
    code = """
import sys
from tsukiji.cli import main
try:
    main()
except SystemExit:
    pass
print(*sys.modules)
"""
    shown = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True).stdout
    assert "classify" in shown
    assert not {"pydantic", "httpx2", "ssl"} & set(shown.splitlines()[-1].split())


def test_a_shell_completes_commands_and_options():
    wanted = {"_TSUKIJI_COMPLETE": "complete_bash", "COMP_WORDS": "tsukiji datasets fi", "COMP_CWORD": "2"}
    program = str(Path(sys.executable).with_name("tsukiji"))
    shown = subprocess.run([program], env={**os.environ, **wanted}, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["fix"]
    wanted |= {"COMP_WORDS": "tsukiji train --pre", "COMP_CWORD": "2"}
    shown = subprocess.run([program], env={**os.environ, **wanted}, capture_output=True, text=True, check=True)
    assert "--preset" in shown.stdout.split()


OPTIONAL = {
    "datasets fix": "acts and which images",
    "datasets images": "which images",
    "results get": "which results",
    "jobs ls": "which jobs",
    "datasets check": "which findings",
}
"""Without their options these do or leave out nothing."""
MORE = {
    "--target-error",
    "--prediction-set",
    "--source",
    "--heatmap",
    "--heatmaps-to",
    "--output",
    "--only",
    "--label",
    "--split",
    "--group",
    "--column",
}
"""Without these nothing of the kind is done; the help says what they add."""


@pytest.mark.parametrize("words", [words for words in TREE if words not in OPTIONAL])
def test_every_option_says_its_default(words):
    """The command line prints a default that it knows itself; of the others it has to be said."""
    silent = [
        option.opts[-1]
        for option in TREE[words].params
        if option.param_type_name == "option" and not option.is_flag and not option.required
        if option.default is None and "default" not in option.help and option.opts[-1] not in MORE
    ]
    assert silent == []


def test_the_defaults_of_a_recipe_are_those_that_the_service_has():
    helps = {option.name: option.help for option in TREE["train"].params if option.name in Recipe.model_fields}
    for name, help_text in helps.items():
        default = Recipe.model_fields[name].default
        assert default is None or f"{default}" in help_text, name


def test_quiet_leaves_results_warnings_and_errors(service, run):
    service.answer("GET", "/v1/models/production", model())
    service.answer("POST", "/v1/batches", Answer(job("queued", "bat_1", "batch"), 202))
    warning = {"code": "x", "detail": "Mind this."}
    service.answer("GET", "/v1/jobs/bat_1", job("succeeded", "bat_1", "batch", result={"warnings": [warning]}))
    service.answer("GET", "/v1/batches/bat_1/results", lines(prediction()))
    result = run("classify", "--source", "file:///photos", "--quiet")
    assert result.stdout.startswith("image\tdecision")
    assert result.stderr.strip() == "Mind this."
    assert "batch bat_1" in run("classify", "--source", "file:///photos").stderr, "of one command alone"
    assert run("models", "show", "no", "-q").stderr
