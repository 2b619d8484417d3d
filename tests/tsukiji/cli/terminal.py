"""Run a command on a real pseudo-terminal and return what a person would see, escapes included."""

import os
import pty
import subprocess
import sys


def on_a_terminal(*arguments):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from tsukiji.cli import main; main()", *arguments]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "160", "LINES": "50"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        shown = b"".join(iter(lambda: read(ours), b""))
    os.close(ours)
    return shown.decode()


def read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so where others return nothing: the other side is closed
        return b""
