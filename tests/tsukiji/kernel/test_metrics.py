"""Metrics of several processes in one folder; each process of these tests is a real one."""

import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tsukiji.kernel import metrics
from tsukiji.kernel.metrics import Processes
from tsukiji.kernel.settings import DataSettings, Settings

PROGRAM = """
import sys
from pathlib import Path
from tsukiji.kernel import metrics
from tsukiji.kernel.settings import DataSettings, Settings
metrics.configure(Settings(data=DataSettings(dir=Path(sys.argv[1]))), "infer")
metrics.meters().leases_lost.labels("taken").inc(3)
metrics.meters().models_loaded_bytes.set(100)
metrics.meters().decode_seconds.observe(0.02)
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    found = metrics.folder_of(Settings(data=DataSettings(dir=tmp_path)))
    monkeypatch.setenv(metrics.FOLDER_VARIABLE, str(found))
    return found


@pytest.fixture
def start(tmp_path):
    started = []

    def start():
        command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"counted\n"
        return process

    yield start
    for process in started:
        kill(process)


def kill(process):
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def read(folder):
    registry = CollectorRegistry()
    registry.register(Processes(folder))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {sample.name: sample.value for family in families for sample in family.samples if "le" not in sample.labels}


def test_processes_are_added_up_and_a_new_one_continues_where_a_dead_one_was(folder, start):
    processes = [start(), start()]
    found = read(folder)
    assert found["tsukiji_leases_lost_total"] == 6
    assert found["tsukiji_decode_seconds_count"] == 2
    assert found["tsukiji_models_loaded_bytes"] == 200
    files = len(list(folder.iterdir()))
    kill(processes[0])
    found = read(folder)
    assert found["tsukiji_leases_lost_total"] == 6, "counters never fall"
    assert found["tsukiji_models_loaded_bytes"] == 100, "what a dead process held is free"
    start()
    found = read(folder)
    assert (found["tsukiji_leases_lost_total"], found["tsukiji_models_loaded_bytes"]) == (9, 200)
    assert len(list(folder.iterdir())) == files


def test_without_a_folder_a_process_counts_for_itself(tmp_path):
    metrics.meters.cache_clear()
    metrics.meters().leases_lost.labels("stalled").inc()
    assert read(tmp_path / "nowhere")["tsukiji_leases_lost_total"] == 1


def test_a_folder_that_cannot_be_written_stops_no_program(tmp_path):
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    metrics.configure(Settings(data=DataSettings(dir=tmp_path)), "infer")
    metrics.meters().leases_lost.labels("taken").inc()


def test_names_follow_the_conventions_of_prometheus():
    for family in metrics.Meters().registry.collect():
        assert family.name.startswith("tsukiji_")
        assert family.documentation.endswith(".")
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        if family.type == "gauge":
            assert family.name.endswith("_bytes")
