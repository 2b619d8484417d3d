"""`tsukiji up`: who may hold the data folder, what others see of it, and what stops it."""

import io
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import structlog

from db import keys
from db.session import Database
from devtools.servers import wait_until
from tsukiji.kernel import parent_process
from tsukiji.kernel.settings import DataSettings, Settings, StorageSettings
from worker import supervisor

ROOT = Path(__file__).parents[2]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def settings(tmp_path):
    return Settings(data=DataSettings(dir=tmp_path / "data"))


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_second_start_says_who_holds_the_folder_and_how_to_go_on(settings):
    with supervisor.single_instance(settings):
        for _ in range(2):  # looking does not change what the next one sees
            with pytest.raises(supervisor.AlreadyRunning) as refused, supervisor.single_instance(settings):
                pass
            assert re.search(rf"process {os.getpid()}, since \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d", refused.value.detail)
            assert f"kill {os.getpid()}" in refused.value.hint
            assert "--data-dir" in refused.value.hint
    with supervisor.single_instance(settings):
        assert (settings.data.dir / "lock").read_text().count("\n") == 1


def test_a_lock_of_an_older_version_tells_nobody_s_pid(settings):
    assert "kill" not in supervisor.already_running(settings.data.dir, "").hint


def test_the_data_folder_is_for_its_user_alone(settings):
    with supervisor.single_instance(settings):
        assert mode(settings.data.dir) == 0o700


def test_a_folder_that_others_may_read_is_told_of(settings):
    settings.data.dir.mkdir(mode=0o755)
    settings.data.dir.chmod(0o755)
    with structlog.testing.capture_logs() as logs, supervisor.single_instance(settings):
        pass
    assert [line["event"] for line in logs] == ["data_folder_open"]
    assert mode(settings.data.dir) == 0o755, "its owner may want it so"


def test_what_killed_programs_left_of_their_work_goes_and_what_is_kept_stays(settings, tmp_path):
    def fill(cache):
        for name in ("work/models-infer@here:1:2/mdl_1/model.safetensors", "uploads/tmp1/package.zip", "features.db"):
            (cache / name).parent.mkdir(parents=True, exist_ok=True)
            (cache / name).write_bytes(b"x")

    fill(settings.cache_dir)
    supervisor.clear_leftovers(settings)
    assert [path.name for path in settings.cache_dir.iterdir()] == ["features.db"]
    fill(tmp_path / "shared")
    supervisor.clear_leftovers(Settings(data=settings.data, storage=StorageSettings(cache_dir=tmp_path / "shared")))
    assert len(list((tmp_path / "shared").iterdir())) == 3


def test_the_first_key_is_shown_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    supervisor.tell("http://127.0.0.1:1", "tsk_secret", None)
    assert "tsk_secret" in sys.stdout.getvalue()


def test_the_first_key_is_in_no_log(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    supervisor.tell("http://127.0.0.1:1", "tsk_secret", tmp_path / "told.json")
    assert "tsk_secret" not in sys.stdout.getvalue()
    assert "tsk_secret" in (tmp_path / "told.json").read_text()
    assert mode(tmp_path / "told.json") == 0o600


def test_a_terminal_gets_a_link_that_is_opened_and_a_log_none(monkeypatch, settings):
    opened = []
    settings.data.dir.mkdir()
    monkeypatch.setattr(supervisor, "open_browser", opened.append)
    supervisor.prepare(settings)
    for output in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stdout", output)
        supervisor.greet(settings, "http://127.0.0.1:1", None, None, None, browser=True)
        assert ("/sign-in/link?token=" in output.getvalue()) == output.isatty()
    (link,) = opened
    assert link in sys.stdout.getvalue()
    database = Database(settings)
    with database.transaction() as session:
        assert keys.use_link(session, link.partition("token=")[2])
    database.close()


UP = """
import os, sys, threading
from pathlib import Path
from tsukiji.kernel.settings import load
from worker import supervisor

supervisor.prepare = lambda settings: True
def run(settings, announce, stop, **options):
    print(os.getpid(), flush=True)
    assert stop.wait(60)
    return 0
supervisor.run = run
sys.exit(supervisor.up(load(), None))
"""
MAKEFILE = """
.PHONY: up
up:
\t@MAKE_PID=$$PPID exec {python} up.py
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(tmp_path, number):
    with subprocess.Popen(
        [sys.executable, "-c", UP],
        cwd=ROOT,
        env=os.environ | {"TSUKIJI_DATA_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    ) as process:
        assert int(process.stdout.readline()) == process.pid
        process.send_signal(number)
        assert process.wait(20) == 0


def not_from_make():
    """Return this process's environment as if `make test` had not started it: a make within make talks more."""
    return {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_make_takes_what_it_runs_with_it(tmp_path, number):
    (tmp_path / "up.py").write_text(UP)
    (tmp_path / "Makefile").write_text(MAKEFILE.format(python=sys.executable))
    with subprocess.Popen(
        ["make", "up"],
        cwd=tmp_path,
        env=not_from_make() | {"TSUKIJI_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # the signal is for make alone
    ) as make:
        pid = int(make.stdout.readline())
        make.send_signal(number)
        assert make.wait(20) == -number
        assert make.stdout.read() == b"", "its end: who held the other one is gone"
    assert wait_until(lambda: not Path(f"/proc/{pid}").exists(), seconds=20) or not Path("/proc").exists()


def test_a_hang_up_that_nohup_turned_off_stays_off():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in parent_process.heeded()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert set(parent_process.heeded()) == {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def test_without_make_nothing_is_watched(monkeypatch):
    monkeypatch.delenv("MAKE_PID", raising=False)
    parent_process.watch_make(lambda: None)
    assert "watch-make" not in {thread.name for thread in threading.enumerate()}


def test_the_makefile_says_that_it_is_there():
    text = (ROOT / "Makefile").read_text("utf-8")
    for target in ("up", "demo"):
        assert re.search(rf"(?m)^{target}: .*\n\t@MAKE_PID=\$\$PPID exec ", text), target


def test_programs_log_into_a_file_and_the_one_before_is_kept(settings, capfd):
    settings.data.dir.mkdir()
    for _ in range(2):
        with supervisor.open_log(settings) as log:
            child = supervisor.Child("api", ["tests.worker.no_such_program"], output=log)
            child.start()
            child.process.wait()
            child.end(0)
    told = capfd.readouterr()
    assert told.out + told.err == ""
    for name in ("tsukiji.log", "tsukiji.log.1"):
        path = settings.data.dir / "logs" / name
        assert path.read_text().count("No module named") == 1
        assert mode(path) == 0o600


def test_the_address_comes_with_the_place_of_the_log(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    supervisor.tell("http://127.0.0.1:8000", "tsk_x", None, "data/logs/tsukiji.log")
    lines = terminal.getvalue().splitlines()
    assert lines[:2] == ["Tsukiji is up: http://127.0.0.1:8000/", "API key for programs (shown once): tsk_x"]
    assert "Log: data/logs/tsukiji.log (`tsukiji up --verbose` shows it)" in lines
