"""A package that arrives is looked at in a process of its own, which ends whatever the package makes of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tsukiji.errors import PackageInvalid
from tsukiji.ingest.packages import sandbox
from tsukiji.ingest.packages.sandbox import Room, unpack_apart
from tsukiji.vision import package

ROOM = Room(128 * 2**20, 100, 500)


@pytest.fixture
def archive(complete, tmp_path):
    return Path(shutil.make_archive(tmp_path / "model", "zip", complete))


@pytest.fixture
def target(tmp_path):
    (tmp_path / "unpacked").mkdir()
    return tmp_path / "unpacked"


def test_a_good_package_is_unpacked(archive, complete, target):
    unpack_apart(archive, target, ROOM)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {
        path.name: path.read_bytes() for path in complete.iterdir()
    }
    assert package.read_config(target).num_classes == 3


def test_what_is_wrong_is_told_as_here(archive, target):
    with pytest.raises(PackageInvalid, match="3 labels; at most 2 are allowed") as refused:
        unpack_apart(archive, target, Room(128 * 2**20, 100, 2))
    assert refused.value.hint == PackageInvalid.hint


PROGRAM = """
import sys, time
from tsukiji.ingest.packages import sandbox as apart

def take(*_):
    {act}

apart.PROCESSOR_SECONDS = 1
apart.take = take
sys.exit(apart.main(sys.argv[1:]))
"""
HUNGRY, BUSY, IDLE = "bytearray(3 * 2**30)", "while True: pass", "time.sleep(60)"


@pytest.mark.parametrize(("act", "said"), [(HUNGRY, "too much memory"), (BUSY, "or time"), (IDLE, "within 3 seconds")])
def test_a_check_that_takes_too_much_ends(archive, target, monkeypatch, act, said):
    real, program = subprocess.run, PROGRAM.format(act=act)
    monkeypatch.setattr(
        subprocess, "run", lambda command, **more: real([sys.executable, "-c", program, *command[3:]], **more)
    )
    if act == IDLE:
        monkeypatch.setattr(sandbox, "SECONDS", 3)
    with pytest.raises(PackageInvalid, match=said):
        unpack_apart(archive, target, ROOM)
