"""OpenVINO as an engine: the fastest on most CPUs, in float32, bfloat16 or int8."""

import os
import sys
import threading
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch

from tsukiji.vision.engines.engine import Floats, Pixels
from tsukiji.vision.engines.graphs import maps_of
from tsukiji.vision.engines.openvino_runtime import core
from tsukiji.vision.execution_plan import Plan

HINTS: Final = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
"""Of what is not quantised: float32 beside int8, so that processors with and without bfloat16 answer alike."""
ANY_SIDES: Final = (-1, -1)
"""Costs a fifth of the speed, so only where sides vary."""


@dataclass(frozen=True)
class Compiled:
    """A compiled graph, and its idle requests: each serves one call at a time."""

    graph: Any
    idle: list[Any] = field(default_factory=list)

    def infer(self, pixels: Pixels) -> tuple[Floats, Floats]:
        try:
            request = self.idle.pop()
        except IndexError:
            request = self.graph.create_infer_request()
        found = request.infer([pixels], share_inputs=True)
        first, second = np.array(found[0]), np.array(found[1])  # the request's own memory is used again
        self.idle.append(request)
        return first, second


class OpenVinoEngine:
    """A graph, compiled for each kind of caller and side of the pictures.

    Its threads are OpenVINO's. They get the niceness of the thread that compiles, so that a batch's never hold up a
    prediction; and a caller of one torch thread shares as many streams as the plan has, another has all its threads.
    """

    def __init__(self, graph: Any, space: str, num_embedded: int, plan: Plan) -> None:
        self.space = space
        self.num_embedded = num_embedded
        self._graph = graph
        self._plan = plan
        self._compiled: dict[tuple[Any, ...], Compiled] = {}
        self._compiling = threading.Lock()

    @property
    def bytes(self) -> int:
        constants = (node for node in self._graph.get_ops() if node.get_type_name() == "Constant")
        weights = sum(int(node.get_data().nbytes) for node in constants)
        return weights * max(1, len(self._compiled))

    def look(self, pixels: Pixels) -> tuple[Floats, Floats]:
        return self._compiled_for(pixels.shape[1:3]).infer(np.ascontiguousarray(pixels))

    def stages(self, pixels: Pixels) -> tuple[Floats, Floats]:
        return self._compiled_for(None).infer(np.ascontiguousarray(pixels))

    def _compiled_for(self, sides: tuple[int, ...] | None) -> Compiled:
        """Return the graph for pictures of these sides, or, without, that of the maps of pictures of any sides."""
        threads = torch.get_num_threads()
        streams = self._plan.streams if threads == 1 else 1
        key = (sides, streams, streams * threads, niceness())
        if key not in self._compiled:
            with self._compiling:
                if key not in self._compiled:
                    self._compiled[key] = self._compile(sides, streams, streams * threads)
        return self._compiled[key]

    def _compile(self, sides: tuple[int, ...] | None, streams: int, threads: int) -> Compiled:
        graph = self._graph.clone() if sides else maps_of(self._graph.clone())
        graph.reshape([-1, *(sides or ANY_SIDES), 3])
        options = {
            "INFERENCE_PRECISION_HINT": HINTS[self._plan.precision],
            "NUM_STREAMS": str(streams),
            "INFERENCE_NUM_THREADS": str(threads),
            "ENABLE_CPU_PINNING": "NO",  # the cores are shared with others
        }
        return Compiled(core().compile_model(graph, "CPU", options))


def niceness() -> int:
    """Return the calling thread's niceness, where threads have one."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) if sys.platform == "linux" else 0
