"""OpenVINO and NNCF tell nothing to anyone: no socket is opened, and no file written outside our folders."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
PROGRAM = """
import sys, os
opened, written = [], []

def watch(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        opened.append((event, arguments))
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        written.append(str(arguments[0]))
    elif event in {"os.mkdir", "os.rename"}:
        written.append(str(arguments[0]))

sys.addaudithook(watch)
from pathlib import Path
import numpy as np
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.engines.opening import open_engine
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.model import build
work = Path(sys.argv[1])
plan = Plan("cpu", "float32", engine="openvino")
pixels = np.zeros((2, 32, 32, 3), np.uint8)
open_engine(build("resnet18", 1).eval(), "resnet18", preprocess_of("resnet18", 32), plan, work).look(pixels)
import openvino
import openvino.tools.ovc.telemetry_utils as telemetry
assert "stub" in telemetry.tm.__name__, telemetry.tm
assert not [name for name in sys.modules if name.startswith("openvino_telemetry.")]
assert not opened, opened
strange = [name for name in written if not name.startswith((str(work), "/dev/null"))]
assert not strange, strange
links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
assert not [link for link in links if link.is_symlink() and os.readlink(link).startswith("socket:")]
"""


def watched(program, tmp_path):
    """Run a program in an empty home; return what is there afterwards."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    ours = {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "TMPDIR": str(work),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", program, str(work)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "CI"} | ours,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [path.relative_to(home) for path in home.rglob("*")]


def test_converting_compiling_and_inferring_send_and_write_nothing(tmp_path):
    assert watched(PROGRAM, tmp_path) == []
