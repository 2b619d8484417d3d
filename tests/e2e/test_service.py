"""`tsukiji up` as a user runs it, on both ways to run: the main job, Ctrl-C in the middle, a second start, a crash."""

import json
import os
import signal
import subprocess
import sys

import pytest

from devtools import servers
from devtools.journey import RECIPE, fill, run_journey, write_pictures
from devtools.servers import wait_until
from tests.conftest import required
from tests.e2e.service import ROOT, Service

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def on(short: str):
    """Run a test on one way to run as a matter of course, and on the other in `make test-long`."""
    (other,) = {"embedded", "servers"} - {short}
    return pytest.mark.parametrize("stack", [short, pytest.param(other, marks=pytest.mark.long)], indirect=True)


@pytest.fixture
def stack(request):
    """The settings of one way to run: nothing but files, or PostgreSQL and Redis."""
    if request.param == "embedded":
        yield {}
        return
    with required(servers.postgres_database()) as database_url, required(servers.redis_server()) as broker_url:
        yield {"TSUKIJI_DATABASE_URL": database_url, "TSUKIJI_BROKER_URL": broker_url}


@pytest.fixture
def start(tmp_path):
    """Start a service on the test's data folder; one that a failed test leaves behind is killed."""
    started = []

    def begin(settings, key=None):
        started.append(Service(tmp_path, settings, key))
        return started[-1]

    yield begin
    for service in started:
        if service.process.poll() is None:
            service.end(signal.SIGKILL)


def alive(pids):
    """Return the running ones (without zombies)."""
    table = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    running = {int(pid) for pid, state in map(str.split, table.splitlines()) if not state.startswith("Z")}
    return [pid for pid in pids if pid in running]


@on("embedded")
def test_the_main_job_then_ctrl_c_leaves_nothing_behind(tmp_path, start, stack):
    service = start(stack)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    run_journey(service.client, pictures)
    pids = service.descendants()
    assert len(pids) >= 5
    status, printed = service.end(signal.SIGINT)
    assert status == 0
    assert service.key not in printed, "what is printed may be kept as a log, and this is no terminal"
    assert str(service.client.url).rstrip("/") in printed
    assert alive(pids) == []


@on("embedded")
def test_a_second_start_continues_the_jobs_and_shows_no_second_key(tmp_path, start, stack):
    first = start(stack)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    dataset = fill(first.client, write_pictures(pictures), "pets")
    training = first.client.trainings.create(dataset, RECIPE | {"epochs": 6})
    assert wait_until(lambda: list(training.metrics()), seconds=120)
    pids = first.descendants()
    status, _ = first.end(signal.SIGINT)
    assert (status, alive(pids)) == (0, [])

    second = start(stack, first.key)
    assert json.loads(second.announced.read_text())["api_key"] is None
    continued = second.client.trainings.get(training.id).wait(300)
    assert (continued.status, continued.attempt) == ("succeeded", 2)
    assert [row.epoch for row in continued.metrics()] == [1, 2, 3, 4, 5, 6]
    epochs = [event.data["epoch"] for event in continued.events() if event.event == "metric"]
    assert epochs == [1, 2, 3, 4, 5, 6], "no finished epoch was trained again"
    assert second.end(signal.SIGTERM)[0] == 0


@on("servers")
def test_kill_9_on_everything_at_once_loses_nothing(tmp_path, start, stack):
    first = start(stack)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    dataset = fill(first.client, write_pictures(pictures), "pets")
    training = first.client.trainings.create(dataset, RECIPE | {"epochs": 4})
    assert wait_until(lambda: first.client.trainings.get(training.id).status == "running", seconds=60)
    pids = first.descendants()
    assert first.end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert wait_until(lambda: not alive(pids), seconds=30)

    second = start(stack, first.key)
    ended = second.client.trainings.get(training.id).wait(300)
    assert ended.status == "succeeded", (tmp_path / "service.log").read_text()[-2000:]
    assert second.end(signal.SIGINT)[0] == 0


def test_two_services_on_one_data_folder_are_refused(running):
    other = subprocess.run(
        [sys.executable, "-m", "worker", "up"],
        cwd=ROOT,
        env=os.environ | {"TSUKIJI_DATA_DIR": str(running.data), "TSUKIJI_API_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert other.returncode == 1
    assert f"process {running.process.pid}, since 20" in other.stderr
    assert "--data-dir" in other.stderr
    assert running.client.info().version, "the first one goes on"
