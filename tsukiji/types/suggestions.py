"""Suggested labels: the piles into which a data set's unlabelled images are sorted."""

from datetime import datetime
from typing import Final, Literal

from tsukiji.types.analyses import FeaturesCreate
from tsukiji.types.base import Answer

DOUBTFUL: Final = "doubtful"
"""The pile of images whose label is not sure enough, or that resemble nothing labelled."""


def pile_of_label(label: str) -> str:
    return f"label:{label}"


def pile_of_cluster(number: int) -> str:
    return f"cluster:{number}"


class SuggestionCreate(FeaturesCreate):
    pass


class Pile(Answer):
    """Images that probably have the same label, or that nothing can be said about yet (`doubtful`)."""

    pile: str
    """`label:` with the label; `cluster:` with a number, before there are two labels; or `doubtful`."""
    label: str | None = None
    images: int
    """Those that are still unlabelled."""
    lowest_score: float


class SuggestionRound(Answer):
    """What one finished round measured."""

    job_id: str
    created_at: datetime
    labelled: int
    unlabelled: int
    accuracy: float | None = None
    """Share of the labelled images whose label is predicted from the others; null before there are two labels."""
    accuracy_interval: tuple[float, float] | None = None
    """95% Wilson score interval."""


class Suggestions(SuggestionRound):
    """The last round of suggestions."""

    object: Literal["suggestions"] = "suggestions"
    dataset_id: str
    bound: float | None = None
    """The lowest probability in a pile of a label: 99% of those above it are expected to be right."""
    unreadable: int = 0
    """Images whose pictures could not be read; the unlabelled ones are at the end of `doubtful`."""
    piles: list[Pile]
    """Largest first; `doubtful` last."""
    history: list[SuggestionRound]
    """The last rounds, oldest first, this one included."""
    links: dict[str, str] = {}


class SuggestedImage(Answer):
    """An unlabelled image in a pile."""

    object: Literal["suggested_image"] = "suggested_image"
    image_id: str
    pile: str
    label: str | None = None
    """The likeliest label, also of a doubtful image."""
    score: float
    """Its probability; before there are two labels, likeness to the middle of the cluster."""
    name: str
    width: int
    height: int
    links: dict[str, str] = {}
