"""How a network's embeddings are computed."""

from typing import Literal

from tsukiji.types.base import Answer

EngineName = Literal["torch", "openvino"]
Precision = Literal["float32", "bfloat16", "float16", "int8"]


class Execution(Answer):
    """What computed the embeddings that a model was fitted to and evaluated on."""

    engine: EngineName
    precision: Precision


class EngineSpeed(Answer):
    """An engine and a precision of a worker's processor, and how fast they were when it was first started."""

    engine: EngineName
    precision: Precision
    images_per_second: float
    """Of efficientnet_lite0 at 224 pixels, for each second of processor time of one core."""
