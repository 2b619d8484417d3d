"""The service itself."""

from datetime import datetime
from typing import Literal

from tsukiji.types.base import Answer, Name, Request
from tsukiji.types.execution import EngineSpeed


class WorkerInfo(Answer):
    queue: str
    worker: str
    device: str | None = None
    seen_at: datetime
    weights: list[str] | None = None
    """Pretrained weights that a training worker has, by their file names in the weights folder."""
    engines: list[EngineSpeed] | None = None
    """How fast the engines of an inference worker's processor are, fastest first; empty until measured."""


class Info(Answer):
    version: str
    api_version: str = "v1"
    features: list[str] = []
    workers: list[WorkerInfo] = []


class KeyCreate(Request):
    name: Name


class Key(Answer):
    """An API key, without its secret, which is not stored."""

    object: Literal["key"] = "key"
    id: str
    name: str
    prefix: str
    """How the secret begins."""
    created_at: datetime
    created_by: str | None = None
    """The key that created it; null where it was created on the server."""
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    own: bool = False
    """Does it send this very request?"""


class KeyCreated(Key):
    key: str
    """The secret, shown this once."""


class SignInLink(Answer):
    """A link that signs one browser in, once."""

    path: str
    """Add it to the address of the service."""
    expires_at: datetime


class SearchHit(Answer):
    """A data set, a model or a job that was found; `links.self` has all of it."""

    object: str
    """`dataset`, `model`, or the kind of a job."""
    id: str
    name: str | None = None
    aliases: list[str] = []
    status: str | None = None
    created_at: datetime
    links: dict[str, str] = {}


class SearchResult(Answer):
    """The best fits of each."""

    datasets: list[SearchHit]
    models: list[SearchHit]
    jobs: list[SearchHit]
