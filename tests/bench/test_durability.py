"""The figures of docs/durability.md are those of the results."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = r"^`([\w-]+)`(.*?) \| (\d+|-) \| (\d+|-) \| (\d+) \| (\d+) \| (\d+) \| (\d+|-)$"
ROWS = re.findall(ROW, (ROOT / "docs" / "durability.md").read_text("utf-8"), flags=re.MULTILINE)
SHORT = {"embedded", "servers", "rabbitmq", "celery"}
"""Runs of minutes that are there."""
LONG = {"machines-embedded", "machines-servers", "celery-rabbitmq", "hosts"}
"""Those of `--machines`, of a second peer, and of `bench.hosts`: rows appear as they are measured."""


def check_row(row, folder):
    run, of_whom, minutes, *figures = row
    file = f"{run}-2-cores.json" if run == "hosts" else f"faults-{run}-2-cores.json"
    found = json.loads((folder / file).read_text())
    peer = "peer_" if "stock" in of_whom else ""
    names = ("kills", "accepted", "lost", "twice", "stuck")
    assert [minutes, *figures] == [figure(found.get("minutes")), *(figure(found.get(peer + name)) for name in names)]
    assert found.get("stack", "hosts") == run.removeprefix("machines-")
    assert bool(found.get("machines")) == run.startswith("machines-")


def figure(value):
    return "-" if value is None else f"{value:g}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0] + row[1][:14])
def test_a_row_says_what_was_measured(row):
    check_row(row, ROOT / "bench" / "results")


def test_every_run_is_there():
    runs = {row[0] for row in ROWS}
    assert SHORT <= runs <= SHORT | LONG
    measured = {run for run in LONG if (ROOT / "bench" / "results" / f"faults-{run}-2-cores.json").exists()}
    assert measured <= runs, "what was measured is told"


TOLD = {
    "faults-machines-servers": {"stack": "servers", "minutes": 30, "kills": 210, "stuck": 0, "machines": ["disk"]},
    "faults-celery-rabbitmq": {"stack": "celery-rabbitmq", "minutes": 10, "peer_kills": 9, "peer_lost": 1},
    "hosts": {"stuck": 0},
}
"""Facts of results, beside those that all have."""
WRITTEN = {
    "`machines-servers` (full disks) | 30 | 210 | 100 | 0 | 0 | 0": True,
    "`machines-servers` | 30 | 211 | 100 | 0 | 0 | 0": False,
    "`celery-rabbitmq`: stock Celery | 10 | 9 | 100 | 1 | 0 | -": True,
    "`hosts` (three, each cut off) | - | - | 100 | 0 | 0 | 0": True,
    "`hosts` | 30 | - | 100 | 0 | 0 | 0": False,
}


@pytest.mark.parametrize(("line", "right"), WRITTEN.items())
def test_rows_of_every_kind_are_compared(line, right, tmp_path):
    for name, facts in TOLD.items():
        counts = {"accepted": 100, "lost": 0, "twice": 0, "peer_accepted": 100, "peer_twice": 0}
        (tmp_path / f"{name}-2-cores.json").write_text(json.dumps(counts | facts))
    (row,) = re.findall(ROW, line)
    if right:
        check_row(row, tmp_path)
    else:
        with pytest.raises(AssertionError):
            check_row(row, tmp_path)
