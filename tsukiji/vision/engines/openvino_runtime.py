"""OpenVINO without its telemetry; the only place from which it is imported.

Its package asks for `openvino_telemetry`, which sends usage figures unless a file in the home folder forbids it; the
documented way to write that file sends an event itself. Both OpenVINO and NNCF do without the module where it is not
installed, so here it is not. `tests/training/test_telemetry.py` watches.
"""

import sys
from functools import cache
from typing import Any

import numpy as np

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # `import` then raises ImportError

import openvino  # noqa: E402, TID251 - after the line above, and nowhere else
from openvino.frontend import FrontEndManager  # noqa: E402, TID251 - OpenVINO again
from openvino.preprocess import PrePostProcessor  # noqa: E402, TID251 - OpenVINO again

openvino.Tensor(np.zeros(1, np.float32)).element_type.to_dtype()
"""Its table of NumPy's functions is filled at first use. Two threads that were the first at once waited for each other
for ever (pybind11's `npy_api`): an `infer` worker hung that measured no engine first. At import there is one thread."""

__all__ = ["FrontEndManager", "PrePostProcessor", "core", "openvino"]


@cache
def core() -> Any:
    """Return the process's OpenVINO."""
    return openvino.Core()
