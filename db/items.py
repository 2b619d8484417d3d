"""Items of batches while they are worked on: from rows, or from lists (`db.parts`)."""

from dataclasses import dataclass
from typing import Any

from tsukiji.types import Box


@dataclass(slots=True)
class Item:
    """One image to classify, as a `BatchItem` has it; plain, because objects of SQLAlchemy cost more than the model.

    Attributes:
        sha256: None if unknown, or if there is no picture.
        error: known in advance.
    """

    seq: int
    custom_id: str
    sha256: str | None = None
    crop: Box | None = None
    true_label: str | None = None
    error: dict[str, Any] | None = None
