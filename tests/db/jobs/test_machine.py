"""Jobs and batches keep their promises under any order of claims, crashes, zombies, cancels and jumps of the clock.

The state machines are in `tests/db/jobs/machine/`.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from db.session import Database
from tests.db.jobs.machine.base import Machine
from tests.db.jobs.machine.batches import BatchMachine
from tests.db.jobs.machine.clock import Clock, jumping_clock
from tests.db.jobs.machine.jobs import TrainingMachine


@pytest.fixture
def clock():
    with jumping_clock() as clock:
        yield clock


def run(machine: type[Machine], database: Database, clock: Clock, examples: int, *, anew: bool = False) -> None:
    """Run on SQLite in full, on PostgreSQL (where every transaction is a round trip) in a shorter form.

    The orders are the same each time, or `anew` by chance; Hypothesis then prints how to repeat one that failed.
    """
    few = settings(
        max_examples=examples if database.engine.dialect.name == "sqlite" else examples // 4,
        stateful_step_count=40,
        report_multiple_bugs=False,
        deadline=None,  # a step is several transactions; a slow disk is no fault of the code
        derandomize=not anew,
        print_blob=anew,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],  # a step is I/O, and there are many
    )
    run_state_machine_as_test(lambda: machine(database, clock), settings=few)


def test_jobs_keep_their_promises_in_any_order(database, clock):
    run(TrainingMachine, database, clock, 16)


def test_batches_keep_their_promises_in_any_order(database, clock):
    run(BatchMachine, database, clock, 20)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("machine", [TrainingMachine, BatchMachine])
def test_work_keeps_its_promises_in_orders_never_tried_before(database, clock, machine):
    run(machine, database, clock, 80, anew=True)


@pytest.mark.parametrize(
    "deeds",
    [
        "create deliver lapse look_for_silent recover fail",
        "create deliver give_back fail",
        "create deliver cancel plan",
        "create deliver plan deliver_chunk retry finish_chunk",
        "create deliver plan deliver_chunk beat lapse look_for_silent recover finish_chunk",
        "create_with_files deliver_chunk cancel give_back_chunk",
        "create_with_files deliver_chunk cancel retry_chunk",
        "create_with_files deliver_chunk abort",
        "create_with_files:2 deliver_chunk lapse_chunk look_for_silent beat_chunk recover",
        "create deliver read_page deliver_chunk cancel leave_cancelled finish_chunk",
        "create deliver read_page deliver_chunk give_back finish_chunk deliver plan",
        "create:1 deliver read_page:2 take_turn lapse look_for_silent recover cancel finish_chunk",
        "create:1 deliver read_page deliver_chunk finish_chunk plan deliver_chunk finish_chunk",
    ],
)
def test_orders_that_once_broke_a_promise(database, clock, deeds):
    play(BatchMachine(database, clock), deeds)


@pytest.mark.parametrize(
    "deeds",
    [
        # The clock passes the lease of a living worker, and is set right before anybody else has claimed the work.
        "create deliver jump:2 look_for_silent jump:0 recover beat finish",
        # ... or after: the first is a zombie.
        "create deliver:0 jump:2 look_for_silent recover deliver:1 jump:0 beat finish",
        # A lease and a rest of tomorrow: the clock was ahead when they were written.
        "create jump:2 deliver jump:0 jump:0 look_for_silent recover",
        "create jump:2 deliver retry jump:0 jump:0 deliver finish",
        "create deliver jump:0 cancel look_for_silent recover leave_cancelled",
        # The deadline passes by a jump, and the clock is set right before the dispatcher acts on what it saw.
        "create:2 deliver jump:2 look_for_overdue jump:0 expire beat finish",
        "create:2 deliver jump:2 look_for_overdue expire beat finish drop",
    ],
)
def test_a_clock_that_jumps_takes_nothing_from_who_holds_it(database, clock, deeds):
    play(TrainingMachine(database, clock), deeds)


def play(machine: Machine, deeds: str) -> None:
    """Run these steps in order, skipping impossible ones, and drive everything to its end."""
    for step in deeds.split():
        deed, _, number = step.partition(":")
        if deed in machine.possible():
            machine.act(deed, 0, int(number or 0))
            machine.all_is_well()
    machine.teardown()
