"""Requests of jobs whose request makes no difference to a test."""

from typing import Any

from tsukiji.jobs import JobKind
from tsukiji.types import Recipe

CLASSIFICATION = {"model": "mdl_1", "label_names": ["a", "b"]}
BLANK: dict[JobKind, dict[str, Any]] = {
    JobKind.TRAINING: {"recipe": Recipe().model_dump(), "name": "m"},
    JobKind.BATCH: CLASSIFICATION,
    JobKind.PREDICTION: CLASSIFICATION,
    JobKind.EVALUATION: CLASSIFICATION | {"input": {"type": "dataset", "dataset": "dst_1"}},
    JobKind.IMPORT: {"dataset": "dst_1"},
    JobKind.EXPORT: {"model": "mdl_1", "format": "onnx"},
    JobKind.ANALYSIS: {"dataset": "dst_1", "backbone": "resnet18"},
    JobKind.SUGGESTION: {"dataset": "dst_1", "backbone": "resnet18"},
}
"""By kind."""
