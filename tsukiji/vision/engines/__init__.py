"""Engines: what computes embeddings of pixels with one network's body."""

from tsukiji.vision.engines.engine import Engine, Floats, Pixels

__all__ = ["Engine", "Floats", "Pixels"]
