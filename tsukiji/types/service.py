"""The service itself."""

from datetime import datetime

from tsukiji.types.base import Answer


class WorkerInfo(Answer):
    queue: str
    worker: str
    device: str | None = None
    seen_at: datetime


class Info(Answer):
    version: str
    api_version: str = "v1"
    features: list[str] = []
    workers: list[WorkerInfo] = []
