"""How a training or an analysis may compute embeddings. Knows no torch."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel


class EngineOptions(BaseModel):
    """Part of the input of every process that embeds pictures."""

    device: str = "auto"
    engine: Literal["auto", "torch", "openvino"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"
    """Of a frozen body; `auto` is the fastest."""
    threads: int = 0
    """Cores that compute embeddings; 0: all."""
    cache: Path | None = None
    """Folder of what is known about engines, and of bodies made for them; None: PyTorch computes."""
