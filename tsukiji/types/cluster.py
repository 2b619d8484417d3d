"""What a program on a cluster of the user's own reports of the batch that it runs."""

from typing import Annotated, Any

from pydantic import Base64Bytes, BeforeValidator, Field

from tsukiji.types.base import Request, check_number

Count = Annotated[int, Field(ge=0, le=2**53), BeforeValidator(check_number)]


class PartReport(Request):
    """A Parquet part that is written: the results of consecutive images, as the service's own parts have them."""

    first_seq: Count = Field(description="Number of its first image.")
    last_seq: Count
    url: str = Field(max_length=4000, description="In the batch's folder.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: Count
    succeeded: Count
    errors: dict[str, Count] = Field(default={}, description="Images by error code.")
    groups: list[tuple[str, str | None, Count]] = Field(
        default=[], max_length=10_000, description="Images by label, and reason for no decision."
    )
    distribution: Base64Bytes | None = Field(default=None, description="What its images are like, for drift.")


class ClusterReport(Request):
    """Progress of a batch with the runner `ray`. Each report keeps the batch alive for a minute."""

    parts: list[PartReport] = Field(
        default=[], max_length=1000, description="New ones; one told again changes nothing."
    )
    images: Count | None = Field(default=None, description="How many there are in all, once that is known.")
    engine: dict[str, Any] | None = Field(default=None, description="What computed them.")
    done: bool = Field(default=False, description="All parts were reported; or none follows, after a cancellation.")
    error: str | None = Field(default=None, max_length=2000, description="Why the program ends without being done.")
