import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import tsukiji
from tsukiji.cli import programs

TELL = """
import json, os, sys
names = ("TSUKIJI_API_HOST", "TSUKIJI_API_PORT", "TSUKIJI_DATA_DIR")
told = {name: os.environ.get(name) for name in names}
print(json.dumps({"arguments": sys.argv[1:], "folder": os.getcwd(), **told}))
sys.exit(7)
"""
STOP_AT_LEISURE = """
import os, signal, sys, time
try:
    print(os.getpid(), flush=True)
    signal.pause()
except KeyboardInterrupt:
    time.sleep(0.2)
    print("stopped in good order", flush=True)
    sys.exit(0)
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout whose programs only tell how they were called."""
    for name in ("worker", "db", "tsukiji"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "__main__.py").write_text(TELL)
    monkeypatch.setattr(tsukiji, "__file__", str(tmp_path / "tsukiji" / "__init__.py"))
    monkeypatch.setattr(os, "execve", run_instead)
    monkeypatch.chdir(tmp_path.parent)  # the folder that is changed on the way is put back
    return tmp_path


def run_instead(_path, command, environment):
    """Stand in for `os.execve`, which would end the tests."""
    raise SystemExit(subprocess.run(command, env=environment, check=False).returncode)


def test_up_passes_its_options_and_returns_the_program_s_code(checkout, run, capfd, monkeypatch):
    monkeypatch.chdir(checkout.parent)
    result = run("up", "--host", "0.0.0.0", "--port", "0", "--data-dir", "here")
    told = json.loads(capfd.readouterr().out)
    assert result.exit_code == 7
    assert told["arguments"] == ["up"]
    assert (told["TSUKIJI_API_HOST"], told["TSUKIJI_API_PORT"]) == ("0.0.0.0", "0")
    assert told["TSUKIJI_DATA_DIR"] == str(checkout.parent / "here")
    assert told["folder"] == str(checkout)


def test_a_relative_data_folder_means_the_caller_s(checkout, run, capfd, monkeypatch):
    monkeypatch.chdir(checkout.parent)
    monkeypatch.setenv("TSUKIJI_DATA_DIR", "mine")
    run("up")
    assert json.loads(capfd.readouterr().out)["TSUKIJI_DATA_DIR"] == str(checkout.parent / "mine")


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        (["create", "--name", "ci", "--json"], ["keys", "create", "--name", "ci", "--json"]),
        (["create", "--name", "c", "--scope", "read"], ["keys", "create", "--name", "c", "--scope", "read"]),
        (["create", "--name", "c", "--expires", "30"], ["keys", "create", "--name", "c", "--expires", "30"]),
        (["rotate", "tsk_abcd"], ["keys", "rotate", "tsk_abcd", "--overlap-hours", "24"]),
        (["ls"], ["keys", "ls"]),
        (["revoke", "key_1"], ["keys", "revoke", "key_1"]),
    ],
)
def test_keys_are_made_where_the_database_is(checkout, run, capfd, arguments, passed):
    assert run("keys", *arguments).exit_code == 7
    assert json.loads(capfd.readouterr().out)["arguments"] == passed


def test_the_store_is_verified_where_the_database_is(checkout, run, capfd):
    assert run("admin", "verify", "--read", "--dry-run", "--json").exit_code == 7
    assert json.loads(capfd.readouterr().out)["arguments"] == ["verify", "--dry-run", "--read", "--json"]


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        (["backup", "there", "--json"], ["backup", "HERE/there", "--json"]),
        (["backup", "there", "--keep", "7"], ["backup", "HERE/there", "--keep", "7"]),
        (["backup", "s3://b/p", "--endpoint-url", "http://s"], ["backup", "s3://b/p", "--endpoint-url", "http://s"]),
        (["restore", "there", "--backup", "now"], ["restore", "HERE/there", "--backup", "now"]),
        (["verify", "--place", "there", "--read"], ["verify", "--place", "HERE/there", "--read"]),
    ],
)
def test_a_place_of_backups_means_the_caller_s(checkout, run, capfd, arguments, passed):
    here = str(Path.cwd())
    assert run("admin", *arguments).exit_code == 7
    assert json.loads(capfd.readouterr().out)["arguments"] == [word.replace("HERE", here) for word in passed]


def test_what_is_deleted_next_is_told_by_the_database_s_program(checkout, run, capfd):
    assert run("admin", "retention", "--dry-run", "--days", "7", "--json").exit_code == 7
    assert json.loads(capfd.readouterr().out)["arguments"] == ["retention", "--days", "7", "--json"]


@pytest.mark.parametrize("arguments", [["up"], ["keys", "ls"], ["demo"], ["admin", "verify"]])
def test_a_client_alone_says_how_to_get_the_programs(run, tmp_path, monkeypatch, arguments):
    monkeypatch.setattr(tsukiji, "__file__", str(tmp_path / "site-packages" / "tsukiji" / "__init__.py"))
    result = run(*arguments)
    assert result.exit_code == 1
    assert "client-only installation" in result.stderr
    assert "pip install 'tsukiji[all]'" in " ".join(result.stderr.split())


def test_keys_need_no_pytorch(checkout, run, monkeypatch):
    monkeypatch.setattr(programs, "find_spec", lambda name: name if name == "alembic" else None)
    assert run("keys", "ls").exit_code == 7
    assert run("up").exit_code == 1


@contextmanager
def started(checkout, program):
    """`tsukiji up` as a process of its own, once its program has printed its pid."""
    (checkout / "worker" / "__main__.py").write_text(program)
    code = "import sys, tsukiji; tsukiji.__file__ = sys.argv.pop(); from tsukiji.cli import main; main()"
    command = [sys.executable, "-c", code, "up", tsukiji.__file__]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        yield process, int(process.stdout.readline())


@pytest.mark.parametrize("tell", [os.kill, os.killpg])
def test_ctrl_c_lets_the_program_stop_in_its_own_time(checkout, tell):
    with started(checkout, STOP_AT_LEISURE) as (process, _):
        tell(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 0, stderr
    assert stdout == "stopped in good order\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_there_is_no_wrapper_that_could_die_alone(checkout, number):
    with started(checkout, STOP_AT_LEISURE) as (process, pid):
        assert pid == process.pid
        process.send_signal(number)
        assert process.wait(20) == -number


def test_this_installation_is_a_checkout():
    assert programs.programs_folder() == Path(__file__).parents[3]
    assert programs.data_folder() == Path(__file__).parents[3] / "tsukiji-data"


def test_an_installed_service_keeps_nothing_among_the_packages(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "tsukiji"
    (package / "_programs" / "worker").mkdir(parents=True)
    monkeypatch.setattr(tsukiji, "__file__", str(package / "__init__.py"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TSUKIJI_DATA_DIR", raising=False)
    assert programs.programs_folder() == package / "_programs"
    assert programs.environment()["TSUKIJI_DATA_DIR"] == str(tmp_path / "tsukiji-data")


def test_what_an_installation_lacks_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "find_spec", lambda name: None if name == "fastapi" else name)
    with pytest.raises(programs.ProgramsMissing, match=r"it lacks fastapi.*pip install 'tsukiji\[all\]'"):
        programs.programs_folder()
