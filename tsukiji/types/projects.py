"""Projects: what belongs to one is, for the keys of another, as if it were not there."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from tsukiji.types.base import INT64, Answer, Name, Request
from tsukiji.types.service import PicturesPerDay

RequestsPerMinute = Annotated[
    int | None, Field(ge=1, le=1_000_000, description="Of all its keys together; no limit, if null.")
]

MaxStoredBytes = Annotated[
    int | None,
    Field(ge=1, lt=INT64, description="Of pictures, models, results and uploads in the store; no limit, if null."),
]


class ProjectCreate(Request):
    """A new, empty project."""

    name: Name
    requests_per_minute: RequestsPerMinute = None
    pictures_per_day: PicturesPerDay = None
    max_stored_bytes: MaxStoredBytes = None


class ProjectUpdate(Request):
    """What is to change; what is left out stays."""

    name: Name | None = None
    requests_per_minute: RequestsPerMinute = None
    pictures_per_day: PicturesPerDay = None
    max_stored_bytes: MaxStoredBytes = None


class Project(Answer):
    """Data sets, models, jobs, uploads, aliases, webhooks and keys that see each other, and nothing else."""

    object: Literal["project"] = "project"
    id: str
    name: str
    default: bool = False
    """Is it the one that there always is? Its administrators administer the service."""
    requests_per_minute: int | None = None
    pictures_per_day: int | None = None
    max_stored_bytes: int | None = None
    created_at: datetime
