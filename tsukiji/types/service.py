"""The service itself."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tsukiji.scopes import Scope
from tsukiji.types.base import Answer, Name, Request
from tsukiji.types.execution import EngineSpeed


class WorkerInfo(Answer):
    queue: str
    worker: str
    device: str | None = None
    version: str | None = None
    """Of its program; null for workers older than this field."""
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


PicturesPerDay = Annotated[int | None, Field(ge=1, le=1_000_000_000, description="No limit, if null.")]
"""Pictures to classify or take in, from midnight UTC on."""


class KeyCreate(Request):
    """A new key. Bound to data sets or models, it finds nothing else."""

    name: Name
    scopes: list[Scope] = Field(["admin"], min_length=1, description="What it may do; `admin` may do everything.")
    datasets: list[Name] = Field([], max_length=100, description="Ids or names of the only data sets it sees.")
    models: list[Name] = Field(
        [],
        max_length=100,
        description="Ids, names or aliases of the only models it sees, beside those trained on its data sets. "
        "An alias follows the model that it points to.",
    )
    expires_in_days: float | None = Field(None, gt=0, le=36500, description="Never, if null.")
    requests_per_minute: int | None = Field(None, ge=1, le=1_000_000, description="As the settings say, if null.")
    pictures_per_day: PicturesPerDay = None
    project: Name | None = Field(
        None, description="Id or name of its project; the one of the key that creates it, if null."
    )

    @model_validator(mode="after")
    def check_binding(self) -> "KeyCreate":
        """Refuse to bind an administrator, who could create a key that sees everything."""
        if "admin" in self.scopes and (self.datasets or self.models):
            raise ValueError("a key with the scope `admin` cannot be bound; name other `scopes`")
        return self


class KeyRotate(Request):
    overlap_hours: float = Field(
        24, ge=0, le=24 * 365, description="How long the present secret still works; 0 also ends page sessions."
    )


class Key(Answer):
    """An API key, without its secret, which is not stored."""

    object: Literal["key"] = "key"
    id: str
    name: str
    prefix: str
    """How the secret begins."""
    scopes: list[Scope] = ["admin"]
    datasets: list[str] = []
    """Ids. If it has these or `models`, it sees nothing else."""
    models: list[str] = []
    """Ids and aliases."""
    requests_per_minute: int | None = None
    pictures_per_day: int | None = None
    project: str = ""
    """Id of its project: nothing of another exists for it."""
    created_at: datetime
    created_by: str | None = None
    """The key that created it; null where it was created on the server."""
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    old_expires_at: datetime | None = None
    """After a rotation: when the secret before it stops working."""
    revoked_at: datetime | None = None
    own: bool = False
    """Does it send this very request?"""


class KeyCreated(Key):
    key: str
    """The secret, shown this once."""


class SignInLinkCreate(Request):
    key: str | None = Field(None, description="Id of the key to sign in with; the calling one, if null.")


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
