"""Files that are sent in parts."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from tsukiji.types.base import Answer, Request

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="64 hexadecimal digits in lower case.")]


class UploadCreate(Request):
    name: str = Field("", max_length=200, description="To be shown; not used as a path.", examples=["pets.zip"])
    bytes: int = Field(ge=1, description="Of the whole file.")
    sha256: Sha256 | None = Field(
        None,
        description="Of the whole file. With it the upload is checked in the end, and found again: the same hash and "
        "size give the upload that is there already.",
    )


class UploadPart(Answer):
    number: int
    """From 1 on."""
    bytes: int
    sha256: str


class Upload(Answer):
    """A file that arrives in parts; once `completed`, its id may stand as `upload` of a batch or import."""

    object: Literal["upload"] = "upload"
    id: str
    name: str
    status: Literal["open", "completed"]
    bytes: int
    sha256: str | None = None
    part_bytes: int
    """Of every part but the last, which has what is left."""
    parts_total: int
    bytes_confirmed: int = 0
    parts: list[UploadPart] = []
    """The parts that are there and were checked; lists of uploads leave them out."""
    created_at: datetime
    expires_at: datetime
    completed_at: datetime | None = None
    links: dict[str, str] = {}
