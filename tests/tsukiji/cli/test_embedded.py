import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from devtools.scripted_service import running
from tsukiji.cli import embedded

PROGRAM = """
import json, os, signal, sys
from pathlib import Path

data = Path(os.environ["TSUKIJI_DATA_DIR"])
data.mkdir()
(data / "environment.json").write_text(json.dumps(dict(os.environ)))
announce = Path(sys.argv[sys.argv.index("--announce") + 1])
(data / "pid").write_text(str(os.getpid()))
def stop(number, frame):
    (data / "stopped").write_text(signal.Signals(number).name)
    sys.exit({status})
signal.signal(signal.SIGINT, stop)
announce.with_suffix(".part").write_text(json.dumps({{"url": {url!r}, "api_key": "tsk_first"}}))
announce.with_suffix(".part").rename(announce)
while True:
    signal.pause()
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    (tmp_path / "checkout/worker").mkdir(parents=True)
    (tmp_path / "checkout/worker/__init__.py").touch()
    monkeypatch.setattr(embedded, "programs_folder", lambda: tmp_path / "checkout")
    return tmp_path / "checkout/worker/__main__.py"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_talks_to_its_own_service_and_stops_it(checkout, folder, monkeypatch):
    monkeypatch.setenv("TSUKIJI_DATABASE_URL", "postgresql://the/callers/own")
    monkeypatch.setenv("TSUKIJI_WEIGHTS_DIR", "/weights")
    with running() as there:
        checkout.write_text(PROGRAM.format(status=0, url=there.url))
        there.answer("GET", "/v1/limits", {})
        with embedded.service(folder) as client:
            client.limits()
        assert there.asked[0].headers["authorization"] == "Bearer tsk_first"
    assert (folder / "data/stopped").read_text() == "SIGINT"
    environment = (folder / "data/environment.json").read_text()
    assert "the/callers/own" not in environment
    assert '"TSUKIJI_WEIGHTS_DIR": "/weights"' in environment
    assert '"TSUKIJI_API_PORT": "0"' in environment


def test_takes_the_weights_of_the_callers_data_folder(checkout, folder, monkeypatch, tmp_path):
    monkeypatch.delenv("TSUKIJI_WEIGHTS_DIR", raising=False)
    monkeypatch.setenv("TSUKIJI_DATA_DIR", str(tmp_path / "callers"))
    checkout.write_text(PROGRAM.format(status=0, url="http://127.0.0.1:9"))
    with embedded.service(folder):
        pass
    environment = json.loads((folder / "data/environment.json").read_text())
    assert environment["TSUKIJI_WEIGHTS_DIR"] == str(tmp_path / "callers" / "weights")
    assert environment["TSUKIJI_DATA_DIR"] == str(folder / "data")


def test_a_service_that_stops_badly_is_an_error(checkout, folder):
    checkout.write_text(PROGRAM.format(status=3, url="http://127.0.0.1:9"))
    with pytest.raises(embedded.ServiceFailed, match="status 3"), embedded.service(folder):
        pass


def test_a_service_that_does_not_start_shows_its_log(checkout, folder):
    checkout.write_text("raise SystemExit('no space left')")
    with pytest.raises(embedded.ServiceFailed, match="no space left"), embedded.service(folder):
        pass


def test_an_error_in_between_is_the_one_that_counts(checkout, folder):
    checkout.write_text(PROGRAM.format(status=3, url="http://127.0.0.1:9"))
    with pytest.raises(ZeroDivisionError), embedded.service(folder):
        _ = 1 / 0
    assert (folder / "data/stopped").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_being_told_to_stop_leaves_no_service_behind(checkout, folder, number):
    checkout.write_text(PROGRAM.format(status=0, url="http://127.0.0.1:9"))
    code = f"""
from pathlib import Path
from tsukiji.cli import embedded
embedded.programs_folder = lambda: Path({str(checkout.parents[1])!r})
with embedded.service(Path({str(folder)!r})):
    print("up", flush=True)
    __import__("signal").pause()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        killer = threading.Timer(30, process.kill)
        killer.start()
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.wait(20) == (-number if number == signal.SIGINT else 128 + number)
        killer.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "data/pid").read_text()), 0)
