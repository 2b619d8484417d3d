import subprocess
import sys

import tsukiji
from tests.tsukiji.client.service import dataset, page

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


def test_every_command_explains_itself(run):
    commands = [
        "up",
        "demo",
        "doctor",
        "train",
        "classify",
        "predict",
        "datasets import",
        "models export",
        "jobs watch",
    ]
    for command in [*commands, "keys create"]:
        assert run(*command.split(), "--help").exit_code == 0
