"""Files that are sent in parts."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from tsukiji.types.base import Answer, Request

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="64 hexadecimal digits in lower case.")]


class UploadCreate(Request):
    name: str = Field("", max_length=200, description="For display; not used as a path.", examples=["pets.zip"])
    bytes: int = Field(ge=1, description="Of the whole file.")
    sha256: Sha256 | None = Field(
        None,
        description="Of the whole file. With it the finished upload is verified, and can be resumed: the same hash and "
        "size return the existing upload.",
    )


class UploadPart(Answer):
    number: int
    """From 1 on."""
    bytes: int
    sha256: str


class Upload(Answer):
    """A file sent in parts; once `completed`, its id can be the `upload` of a batch or import."""

    object: Literal["upload"] = "upload"
    id: str
    name: str
    status: Literal["open", "completed"]
    bytes: int
    sha256: str | None = None
    part_bytes: int
    """Size of every part except the last, which has the rest."""
    parts_total: int
    bytes_confirmed: int = 0
    parts: list[UploadPart] = []
    """The confirmed parts; lists of uploads leave them out."""
    created_at: datetime
    expires_at: datetime
    completed_at: datetime | None = None
    links: dict[str, str] = {}
