"""A file of results has the facts of its measurement."""

import json
from pathlib import Path

import pytest

from bench.machine import machine
from bench.report import show

RESULTS = sorted((Path(__file__).parents[2] / "bench" / "results").glob("*.json"))
FACTS = {"commit", "date", "processor", "flags", "cores", "versions", "seeds", "runs"}
OLDER = {
    "batches-2-cores-no-bfloat16",
    "batches-2-cores",
    "batches-2-newer-cores",
    "datasets-2-cores",
    "fairness-2-cores",
    "faults-embedded-2-cores",
    "faults-embedded-patient-2-cores",
    "faults-rabbitmq-2-cores",
    "faults-servers-2-cores",
    "faults-servers-patient-2-cores",
    "hostile-2-cores",
    "many-kinds-2-cores",
    "overhead-2-cores",
    "poison-2-cores",
    "resume-2-cores",
    "storm-2-cores",
    "training-2-cores",
    "writers-2-cores",
}
"""Older than this rule. None is added; a new measurement leaves the list."""


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_file_of_results_says_what_it_was_measured_on(path):
    missing = FACTS - json.loads(path.read_text()).keys()
    assert bool(missing) is (path.stem in OLDER), missing or "it can leave the list of older ones"


def test_what_was_measured_before_the_rule_is_still_there():
    assert {path.stem for path in RESULTS} >= OLDER


def test_figures_for_programs_say_of_what_machine_they_are(capsys):
    show("figures", {"speed": 2.5, "runs": 3}, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told == machine() | {"speed": 2.5, "runs": 3}
    assert told["commit"]
    assert told["cores"] > 0
    assert told["versions"]["torch"]
