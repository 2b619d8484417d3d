"""Replaces the module `subprocess` where tests start engines, by forks of a process that has imported what they need.

An engine imports for seconds. A fork is otherwise what a new process is: its own pid, session, pipes and exit status.
Other programs are started as ever.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from multiprocessing.connection import Connection
from subprocess import PIPE, TimeoutExpired

__all__ = ["PIPE", "Popen", "TimeoutExpired"]

ENGINES = {"training", "training.convert", "training.embed"}

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["training.job", "training.quick", "training.recipes", "training.conclusion"])


def Popen(command, *, env, stderr=None, start_new_session=False, **options):  # noqa: N802 - the name in `subprocess`
    """Start `[sys.executable, "-m", engine, folder]` as a fork; anything else as `subprocess` does."""
    _, _, module, *_ = command
    if module in ENGINES:
        return Fork(command[2:], env, stderr, start_new_session)
    return subprocess.Popen(command, env=env, stderr=stderr, start_new_session=start_new_session, **options)


class Fork:
    """Like `subprocess.Popen`, with pipes to standard input and output."""

    def __init__(self, command, environment, stderr, new_session):
        stdin, self.stdin = pipe("wb")
        self.stdout, stdout = pipe("rb")
        self.stderr, stderr = pipe("rb") if stderr == PIPE else (None, None)
        ends = [end for end in (stdin, stdout, stderr) if end]
        self._process = context.Process(target=run, args=(command, dict(environment), ends, new_session))
        self._process.start()
        for end in ends:
            end.close()
        self.pid = self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self.returncode

    def wait(self, timeout=None):
        self._process.join(timeout)
        if self.returncode is None:
            raise TimeoutExpired("engine", timeout)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def pipe(mode):
    """Return our end of a pipe as a file, and theirs; the end that is read comes first."""
    read, write = os.pipe()
    if mode == "rb":
        return os.fdopen(read, mode), Connection(write, readable=False)
    return Connection(read, writable=False), os.fdopen(write, mode, buffering=0)


def run(command, environment, ends, new_session):
    """Be the program, in the fork."""
    if new_session:
        os.setsid()
    for number, end in enumerate(ends):
        os.dup2(end.fileno(), number)
        end.close()
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    multiprocessing.set_start_method(multiprocessing.get_all_start_methods()[0], force=True)  # the first is the default
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    module, *sys.argv[1:] = command
    runpy.run_module(module, run_name="__main__", alter_sys=True)
