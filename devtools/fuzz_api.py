"""The API under schemathesis: cases made from its OpenAPI document, valid and not, alone and in sequences.

    python -m devtools.fuzz_api --cases 20000 --stack servers --seed 1

Stacks are `embedded` (SQLite, no broker) and `servers` (PostgreSQL and Redis, see `devtools.servers`). Runs with the
next seed are added until there are enough cases. The application runs in this process, without workers. Ends with 1
if a check failed.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from starlette.testclient import TestClient

from api.main import create_app
from api.services import open_services
from db import keys
from db.upgrade import upgrade
from devtools.servers import postgres_database, redis_server
from tests.api.things import make
from tsukiji.kernel import log
from tsukiji.kernel.settings import (
    ApiSettings,
    BrokerSettings,
    DatabaseSettings,
    DataSettings,
    LimitSettings,
    LogSettings,
    Settings,
)

URL = "http://127.0.0.1:8000"
PHASES = ("examples", "coverage", "fuzzing", "stateful")
KNOWN = 0.7
"""How often a parameter has a value that exists."""
ANSWERED = ["2xx", "3xx", "401", "403", "404", "409", "410", "413", "415", "422", "429"]
"""No schema says which labels, models and pictures there are, nor how many bytes this service takes."""
REFUSED = ["400", "401", "403", "404", "405", "406", "409", "410", "413", "415", "422", "428", "429"]
CHECKS = {
    "positive_data_acceptance": {"expected-statuses": ANSWERED},
    "negative_data_rejection": {"expected-statuses": REFUSED},
}
OF_KEYS = ("/v1/keys/{key}", "/v1/keys/{key}/rotate")
"""Called with one unknown key only: never with the one that the requests have."""
SHADOWED = ("/v1/datasets/sample", "/v1/keys/self")
"""Their `Allow` has the methods of `/v1/datasets/{dataset}`, too: a data set may be called `sample`."""
RAW = ("application/jsonl", "text/csv", "application/zip", "application/x-tar", "application/gzip", "image/*")


@dataclass
class Outcome:
    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    """The first of each kind (check, operation and message), with its request."""


def run(app, key, things, *, seed, examples, phases=PHASES) -> Outcome:
    """Call every operation, alone and in sequences, and check every answer.

    Args:
        app: the application, which must have been started.
        key: may do everything.
        things: ids that exist, by the names of parameters.
        seed: of all chance.
        examples: random cases of each operation, and sequences.
        phases: of `PHASES`.
    """
    schemathesis.serializer(*RAW)(lambda _context, value: value if isinstance(value, bytes) else str(value).encode())
    config = SchemathesisConfig.from_dict(configuration(things, seed, examples, phases))
    schema = schemathesis.openapi.from_dict(without_tuples(app.openapi()), config=config)
    schema.app = app
    schema.config.update(headers={"Authorization": f"Bearer {key}", "Prefer": "wait=0"}, base_url=URL)
    outcome = Outcome()
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished():
                note(outcome, event.recorder)
            case events.NonFatalError():
                outcome.failures[f"error: {event.label}: {event.value!r}"[:300]] = ""
            case events.FatalError():
                raise event.exception
    return outcome


def configuration(things, seed, examples, phases):
    return {
        "seed": seed,
        "continue-on-failure": True,
        "max-stream-events": 1,
        "request-timeout": 20,
        "generation": {"max-examples": examples, "database": "none", "no-shrink": True},
        "dictionaries": {name: {"values": [thing]} for name, thing in things.items()},
        "parameters": {f"path.{name}": {"dictionary": name, "probability": KNOWN} for name in things},
        "checks": CHECKS,
        "phases": {name: {"enabled": name in phases} for name in PHASES},
        "operations": [
            *({"include-path": path, "parameters": {"path.key": "key_nope"}} for path in OF_KEYS),
            *({"include-path": path, "checks": {"allow_header_conformance": {"enabled": False}}} for path in SHADOWED),
        ],
    }


def without_tuples(document):
    """Return a copy without `prefixItems`, which schemathesis rewrites in place; all of ours have items of one kind."""

    def plain(node):
        match node:
            case {"prefixItems": [first, *_], **rest}:
                return {**rest, "items": plain(first)}
            case dict():
                return {name: plain(inner) for name, inner in node.items()}
            case list():
                return [plain(inner) for inner in node]
        return node

    return plain(document)


def note(outcome, recorder):
    outcome.cases += len(recorder.interactions)
    for interaction in recorder.interactions.values():
        outcome.statuses[interaction.response.status_code if interaction.response else 0] += 1
    for checks in recorder.checks.values():
        for check in checks:
            if check.status != Status.SUCCESS:
                failure = check.failure_info and check.failure_info.failure
                told = f"{failure.operation}: {failure.title}: {failure.message}" if failure else recorder.label
                kind = f"{check.name}: {told.splitlines()[0]}"
                sample = check.failure_info.code_sample if check.failure_info else "the check crashed"
                outcome.failures.setdefault(kind, f"{told}\n{sample}")


@contextmanager
def stack(name: str, folder: Path) -> Iterator[Settings]:
    """Yield the settings of a migrated stack."""
    limits = LimitSettings(class_min_images=2, image_bytes=200_000, json_bytes=20_000, predict_bytes=600_000)
    with ExitStack() as opened:
        urls = [None, None]
        if name == "servers":
            urls = [opened.enter_context(postgres_database()), opened.enter_context(redis_server())]
        settings = Settings(
            data=DataSettings(dir=folder),
            api=ApiSettings(max_wait_seconds=0),
            limits=limits,
            database=DatabaseSettings(url=urls[0]),
            broker=BrokerSettings(url=urls[1]),
        )
        upgrade(settings)
        yield settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--stack", choices=["embedded", "servers"], default="embedded")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=20, help="random cases of each operation, in one run")
    options = parser.parse_args()
    log.configure(LogSettings(level="error"), "fuzz")
    began, seed, cases, statuses, failures = time.monotonic(), options.seed, 0, Counter(), {}
    while cases < options.cases:
        with (
            tempfile.TemporaryDirectory(prefix="tsukiji-fuzz-") as folder,
            stack(options.stack, Path(folder)) as settings,
        ):
            outcome = run_once(settings, seed, options.examples)
        cases += outcome.cases
        statuses += outcome.statuses
        for kind in outcome.failures.keys() - failures.keys():
            print(f"--- {kind}\n{outcome.failures[kind]}\n", flush=True)
        failures = outcome.failures | failures
        seed += 1
        print(
            f"{cases:,} cases, {time.monotonic() - began:.0f} s, {len(failures)} failures", file=sys.stderr, flush=True
        )
    seeds = [options.seed, seed - 1]
    facts = {"stack": options.stack, "cases": cases, "seeds": seeds, "failures": len(failures)}
    print(json.dumps(facts | {"seconds": round(time.monotonic() - began), "statuses": dict(sorted(statuses.items()))}))
    sys.exit(bool(failures))


def run_once(settings: Settings, seed: int, examples: int) -> Outcome:
    made = []
    app = create_app(settings, lambda given: made.append(open_services(given)) or made[-1])
    with TestClient(app, base_url=URL) as client:
        with made[0].database.transaction() as session:
            _, key = keys.create(session, "fuzz")
        client.headers["Authorization"] = f"Bearer {key}"
        return run(app, key, make(client, made[0]), seed=seed, examples=examples)


if __name__ == "__main__":
    main()
