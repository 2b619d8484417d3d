"""The service itself."""

from datetime import datetime

from tsukiji.types.base import Answer


class WorkerInfo(Answer):
    queue: str
    worker: str
    device: str | None = None
    seen_at: datetime
    weights: list[str] | None = None
    """Pretrained weights that a training worker has, by their file names in the weights folder."""


class Info(Answer):
    version: str
    api_version: str = "v1"
    features: list[str] = []
    workers: list[WorkerInfo] = []
