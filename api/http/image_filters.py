"""Filters of images as query parameters; edits take the same as JSON."""

from typing import Annotated, Literal

from fastapi import Depends, Query

from api.http.errors import validated
from tsukiji.types import FindingKind, ImageFilter, Review, Split


def image_filter(
    label: str | None = None,
    unlabelled: Annotated[bool, Query(description="Only images without a label.")] = False,
    none_of_these: Annotated[bool, Query(description="Only images marked as showing none of the labels.")] = False,
    split: Annotated[
        Split | Literal["unassigned"] | None, Query(description="The assigned split; `unassigned`: none.")
    ] = None,
    excluded: Annotated[
        bool | None, Query(description="`true`: only excluded images; `false`: only the others.")
    ] = None,
    review: Annotated[Review | None, Query(description="Review status of corrected predictions.")] = None,
    finding: Annotated[FindingKind | None, Query(description="With this finding in the last analysis.")] = None,
    pile: Annotated[
        str | None, Query(max_length=220, description="In this pile of the last suggestions, and still unlabelled.")
    ] = None,
) -> ImageFilter:
    given = {"label": label, "unlabelled": unlabelled, "split": split, "excluded": excluded, "review": review}
    return validated(ImageFilter, given | {"finding": finding, "pile": pile, "none_of_these": none_of_these}, "query")


FilterDep = Annotated[ImageFilter, Depends(image_filter)]
