"""Work that hangs, that takes too much memory, or whose bytes have changed: it ends, and says why."""

import os
import platform
import signal
import subprocess
import sys
import threading
import time

import pytest

from db.curation import datasets
from db.jobs import leases
from db.models import Chunk
from devtools.servers import wait_until
from tests.worker.conftest import RECIPE, run_next, waiting_chunks, work
from tsukiji.errors import OutOfMemory
from worker import lease, memory, supervisor
from worker.inference import batch_inference
from worker.inference.model_cache import ModelCache
from worker.jobs import trainings
from worker.jobs.batches import plan
from worker.jobs.engine import Engine
from worker.jobs.engine_monitor import EngineMonitor
from worker.jobs.imports import run as run_import
from worker.supervisor import Child


def with_jobs(services, **changes):
    jobs = services.settings.jobs.model_copy(update=changes)
    services.settings = services.settings.model_copy(update={"jobs": jobs})


@pytest.fixture
def ended(monkeypatch):
    """Collects the exit status of what would have ended this process."""
    statuses = []
    defaults = lease.Lease.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "end_process", statuses.append)
    return statuses


def test_a_chunk_that_hangs_goes_to_another_worker_while_this_one_ends(
    services, submit, model, pets, ended, monkeypatch
):
    blob = services.store.put(pets)
    job = submit.batch(model, {"type": "archive"}, upload_sha256=blob.sha256)
    work(services, job.id, plan)
    chunk_id = waiting_chunks(services)[0]
    hangs = threading.Event()
    monkeypatch.setattr(batch_inference, "look_at", lambda *_: hangs.wait())
    with_jobs(services, stall_seconds=0.1)
    thread = threading.Thread(target=run_next, args=(services, ModelCache(services)), daemon=True)
    thread.start()
    assert wait_until(lambda: ended == [lease.STALLED])
    with services.database.transaction() as session:
        (silent,) = leases.expired(session)
        assert silent.id == chunk_id
        leases.recover(session, silent)
        assert leases.claim(session, Chunk, chunk_id, "another", 30).attempt == 2
    assert "stalled" in [line.data.get("why") for line in submit.history(job)]
    monkeypatch.undo()
    hangs.set()
    thread.join(30)
    assert submit.find(job).items_succeeded == 0, "what the first one still has to say comes too late"


@pytest.fixture
def training(services, submit, pets):
    imported = submit.import_zip(pets)
    work(services, imported.id, run_import)
    return submit.training(imported.dataset_id, RECIPE.model_copy(update={"epochs": 500}))


def test_a_training_process_that_hangs_is_ended_and_the_training_tried_again(services, submit, training, monkeypatch):
    with_jobs(services, stall_seconds=1)
    monkeypatch.setattr(
        EngineMonitor,
        "_on_phase",
        lambda self, _event: os.killpg(self._engine.pid, signal.SIGSTOP),  # it lives, and says nothing any more
    )
    pids = []
    enter = Engine.__enter__
    monkeypatch.setattr(Engine, "__enter__", lambda self: (enter(self), pids.append(self.pid))[0])
    with_jobs(services, stall_seconds=1, stop_seconds=0.5)
    work(services, training.id, trainings.run)
    row = submit.find(training)
    assert (row.status, row.attempt) == ("queued", 1)
    assert submit.history(training)[-1].data["why"] == "stalled"
    assert wait_until(lambda: is_gone(pids[0]), 10)


def is_gone(pid):
    """Return whether a process has ended, and been waited for by its parent."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_training_that_takes_too_much_memory_fails_and_says_so(services, submit, training):
    with_jobs(services, training_memory_mb=1)
    work(services, training.id, trainings.run)
    row = submit.find(training)
    assert (row.status, row.error["code"]) == ("failed", "out_of_memory")
    assert "batch_size" in row.error["hint"]


def test_a_picture_whose_bytes_have_changed_is_never_learnt_from(services, submit, training):
    with services.database.reading() as session:
        sha256 = datasets.labelled_images(session, training.dataset_id)[0].sha256
    path = services.store.local_path(sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    work(services, training.id, trainings.run)
    row = submit.find(training)
    assert (row.status, row.error["code"]) == ("failed", "blob_corrupt")
    assert sha256 in row.error["detail"]


def test_memory_is_that_of_a_process_and_its_children():
    code = "import os; held = bytearray(80_000_000); os.fork(); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert 80 < memory.family(process.pid) < 400
        with pytest.raises(OutOfMemory, match="40 MB are allowed"):
            memory.check(process.pid, 40)
        memory.check(process.pid, 4000)
        process.stdin.write(b"\n\n")
        process.stdin.close()
    assert memory.family(process.pid) == 0, "one that has ended weighs nothing"


def test_a_worker_that_has_grown_asks_to_be_stopped():
    code = "from worker.memory import retire_if_grown as r; r(100_000); print('small', flush=True); r(1); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"small\n"
        assert process.wait(30) == -signal.SIGTERM


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps memory that is free")
def test_what_was_freed_goes_back_though_a_large_block_was_freed_before():
    code = """if True:
        import psutil
        from worker.memory import give_back_soon
        held = lambda: psutil.Process().memory_info().rss / 1e6
        give_back_soon()
        before = held()
        large = bytearray(30_000_000)
        del large
        many = [bytearray(1_000_000) for _ in range(50)]
        assert held() > before + 45
        del many
        assert held() < before + 10, held() - before
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_supervisor_replaces_a_program_that_lives_and_reports_no_more(monkeypatch):
    monkeypatch.setattr(supervisor, "READY_SECONDS", 0)
    child = Child("infer", ["this", "--help"])
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as child.process:
        child.check_in(present=False, patience=30)
        child.check_in(present=True, patience=0)
        child.check_in(present=False, patience=30)
        assert child.process.poll() is None, "once silent, then heard of: it lives"
        child.check_in(present=False, patience=30)
        child.silent_since = child.looked = time.monotonic() - 31
        child.check_in(present=False, patience=30)
        assert child.process.poll() is None, "silent before and after the machine slept: it was not awake to report"
        child.check_in(present=False, patience=30)
        child.silent_since = time.monotonic() - 31
        child.check_in(present=False, patience=30)
        assert child.process.wait(10) == -signal.SIGKILL


def test_a_containers_limit_counts_and_not_the_machines(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "CONTAINER_LIMITS", (limit, tmp_path / "not there"))
    machine = memory.allowance(0, 1.0)
    limit.write_text("max\n")
    assert memory.allowance(0, 1.0) == machine
    limit.write_text(f"{200 * 2**20}\n")
    assert memory.allowance(0, 0.5) == 100
    assert memory.allowance(70, 0.5) == 70
