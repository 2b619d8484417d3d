"""Imports that hide from import-linter: ruff refuses them, unless a comment says why."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAMS = ("api", "bench", "db", "training", "tsukiji", "worker")
HIDDEN = re.compile(r"noqa: [A-Z0-9, ]*(?:PLC0415|TID251)[A-Z0-9, ]*(.*)")


def test_each_import_that_is_hidden_says_why():
    found = [
        (path.relative_to(ROOT), number, match[1])
        for program in PROGRAMS
        for path in (ROOT / program).rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (match := HIDDEN.search(line))
    ]
    assert found, "then ruff's rule for them is off"
    assert not [place for *place, why in found if not re.fullmatch(r"- \S.{10,}", why)]
