import subprocess
import sys
import threading

import pytest

from training.control import Cancelled, Control, Exit


def test_orders_are_lines() -> None:
    control = Control()
    control.obey("something of a later version")
    assert not control.finishing
    control.obey("finish\r")
    assert control.finishing
    control.check()
    control.obey("cancel")
    with pytest.raises(Cancelled):
        control.check()


def test_a_paused_training_waits_between_two_steps() -> None:
    control, steps = Control(), []
    control.obey("pause")

    def step() -> None:
        control.check()
        steps.append(1)

    thread = threading.Thread(target=step, daemon=True)
    thread.start()
    thread.join(0.05)
    assert (thread.is_alive(), steps) == (True, [])
    control.obey("resume")
    thread.join(10)
    assert steps == [1]
    control.obey("pause")
    control.obey("cancel")
    with pytest.raises(Cancelled):
        control.check()


@pytest.mark.skipif(sys.platform != "linux", reason="decoding processes are used on Linux alone")
def test_a_child_that_is_forked_at_the_last_moment_ends_too() -> None:
    """It is in no list of children yet; it would hold on to the standard output for ever."""
    code = (
        "import os, time; from training.control import Control, leave\n"
        "Control().watch()\n"
        "if os.fork() == 0: time.sleep(1000)\n"
        "leave()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.read() == b""
        assert process.wait(30) == Exit.ABANDONED
