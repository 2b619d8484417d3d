"""Pictures are taken from bytes to embeddings by several threads, in order."""

import os
import sys
import threading

import pytest
import torch

from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.streams import in_streams, parts_of


def test_a_part_for_each_stream_and_none_above_a_forward_pass():
    def sizes(count):
        return [len(part) for part in parts_of(range(count), 16, 4)]

    assert sizes(0) == []
    assert sizes(4) == [1, 1, 1, 1]
    assert sizes(10) == [3, 3, 3, 1]
    assert sizes(70) == [16, 16, 16, 16, 6]


def test_streams_run_side_by_side_each_with_its_threads_and_answer_in_order():
    together = threading.Barrier(2, timeout=30)

    def act(part):
        together.wait()
        return part, torch.get_num_threads()

    before = torch.get_num_threads()
    assert list(in_streams(Plan(streams=2, threads=1), ["a", "b", "c", "d"], act)) == [(name, 1) for name in "abcd"]
    assert torch.get_num_threads() == before


@pytest.mark.skipif(sys.platform != "linux", reason="priorities by thread are Linux's")
def test_streams_let_those_who_wait_for_an_answer_go_first():
    def niceness(_part=None):
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    assert list(in_streams(Plan(streams=2), [[], []], niceness, 5)) == [before + 5] * 2
    assert niceness() == before
