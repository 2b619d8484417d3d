"""OpenVINO and NNCF tell nothing to anyone: no socket is opened, and no file written outside our folders."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WATCHED = """
import os, sys
opened, written = [], []

def watch(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        opened.append((event, arguments))
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        written.append(str(arguments[0]))
    elif event in {"os.mkdir", "os.rename"}:
        written.append(str(arguments[0]))

def check():
    assert not opened, opened
    strange = [name for name in written if not name.startswith((str(work), "/dev/null"))]
    assert not strange, strange
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]  # what no hook sees, as in C++
    assert not [link for link in links if link.is_symlink() and os.readlink(link).startswith("socket:")]
    assert not [name for name in sys.modules if name.startswith("openvino_telemetry.")]

sys.addaudithook(watch)
from pathlib import Path
import numpy as np
work = Path(sys.argv[1])
pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.engines import graphs
from tsukiji.vision.engines.opening import open_engine
from tsukiji.vision.engines.openvino_runtime import openvino
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.model import build
model, preprocess, plan = build("resnet18", 1).eval(), preprocess_of("resnet18", 32), Plan(engine="openvino")
"""
INFERRING = """
open_engine(model, "resnet18", preprocess, plan, work).look(pixels)
import openvino.tools.ovc.telemetry_utils as ours
assert "stub" in ours.tm.__name__, ours.tm
check()
"""
QUANTISING = """
from training import quantise
openvino.serialize(graphs.convert(model, preprocess), *(work / name for name in quantise.GRAPH))
np.save(work / quantise.PIXELS, pixels)
(work / quantise.BODY).write_text("body")
assert quantise.main() == 0
import nncf.telemetry.wrapper as theirs
assert theirs.telemetry is theirs.NNCFTelemetryStub or isinstance(theirs.telemetry, theirs.NNCFTelemetryStub)
check()
"""


def watched(program, tmp_path):
    """Run a program in an empty home; return what is there afterwards."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    ours = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "TMPDIR": str(work)}
    ours["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", WATCHED + program, str(work)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "CI"} | ours,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [path.relative_to(home) for path in home.rglob("*")]


def test_converting_compiling_and_inferring_send_and_write_nothing(tmp_path):
    assert watched(INFERRING, tmp_path) == []


def test_quantising_sends_and_writes_nothing(tmp_path):
    assert watched(QUANTISING, tmp_path) == []
