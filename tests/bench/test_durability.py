"""The figures of docs/durability.md are those of the results."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^`(\w+)`(.*?) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+|-)$",
    (ROOT / "docs" / "durability.md").read_text("utf-8"),
    flags=re.MULTILINE,
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0] + row[1][:14])
def test_a_row_says_what_was_measured(row):
    stack, of_whom, minutes, *figures = row
    found = json.loads((ROOT / "bench" / "results" / f"faults-{stack}-2-cores.json").read_text())
    peer = "peer_" if "stock" in of_whom else ""
    names = ("kills", "accepted", "lost", "twice", "stuck")
    assert (float(minutes), found["stack"]) == (found["minutes"], stack)
    assert figures == [str(found.get(peer + name, "-")) for name in names]


def test_every_run_is_there():
    assert {row[0] for row in ROWS} == {"embedded", "servers", "rabbitmq", "celery"}
