"""The API under schemathesis: what its OpenAPI document says is what it does. `devtools.fuzz_api` does it at length."""

import secrets

import pytest

from devtools.fuzz_api import PHASES, run
from tests.api.things import make


def check(outcome, least):
    told = "\n\n".join(outcome.failures.values())
    assert not outcome.failures, f"{len(outcome.failures)} kinds in {outcome.cases} cases:\n{told}"
    assert outcome.cases >= least


def test_valid_and_invalid_requests_are_answered_as_documented(app, client, key, services):
    check(run(app, key, make(client, services), seed=1, examples=1, phases=["fuzzing"]), 150)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_all_phases(app, client, key, services, record_property):
    seed = secrets.randbelow(2**32)
    record_property("seed", seed)
    check(run(app, key, make(client, services), seed=seed, examples=3, phases=PHASES), 5000)
