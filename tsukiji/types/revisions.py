"""Edits of a data set, and the revision that each creates, by which it can be undone."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from tsukiji.types.analyses import FindingKind
from tsukiji.types.base import (
    Answer,
    Box,
    Label,
    NewLabel,
    NewLabels,
    Problem,
    Request,
    Review,
    Split,
    Whole,
    check_one,
)

MOST_IMAGES: Final = 10_000
"""Most images that one edit may name by id; a filter may match any number."""
MOST_CORRECTIONS: Final = 100

ImageId = Annotated[str, Field(min_length=1, max_length=40)]
ImageIds = Annotated[list[ImageId], Field(min_length=1, max_length=MOST_IMAGES)]


class ImageFilter(Request):
    """Selects images that match every member; all if there are none."""

    label: Label | None = None
    unlabelled: bool = Field(False, description="Only images without a label.")
    none_of_these: bool = Field(False, description="Only images marked as showing none of the labels.")
    split: Split | Literal["unassigned"] | None = Field(None, description="The assigned split; `unassigned`: none.")
    excluded: bool | None = Field(None, description="`true`: only excluded images; `false`: only the others.")
    review: Review | None = Field(None, description="Review status of corrected predictions.")
    finding: FindingKind | None = Field(None, description="With this finding in the last analysis.")
    pile: str | None = Field(
        None,
        min_length=1,
        max_length=220,
        description="In this pile of the last suggestions, and still unlabelled: `label:cat`, `cluster:1`, `doubtful`.",
    )


class ImageSelection(Request):
    """Images by their ids, or by a filter."""

    images: ImageIds | None = Field(None, description="Ids.")
    filter: ImageFilter | None = Field(
        None, description="Filter with the parameters of the list of images; `{}` means all."
    )
    except_: list[ImageId] = Field(
        [], alias="except", max_length=MOST_IMAGES, description="Ids of images that match the filter but are left out."
    )

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        check_one(self, "images", "filter")
        if self.except_ and self.filter is None:
            raise ValueError("`except` goes with a filter")
        return self


def check_label(request: Request) -> None:
    """Raise ValueError unless either `label` or `labels` is given, be it null."""
    if len(request.model_fields_set & {"label", "labels"}) != 1:
        raise ValueError("give either `label` or `labels`")


class Relabel(ImageSelection):
    """Replace the labels of images. In a `multi_label` data set `label` is a set of one."""

    act: Literal["relabel"]
    label: NewLabel | None = Field(None, description="Null removes the label.")
    labels: NewLabels | None = Field(None, description="All labels; `[]`: none of the labels; null: unlabelled.")

    @model_validator(mode="after")
    def _is_given(self) -> Self:
        check_label(self)
        return self


class AddLabels(ImageSelection):
    """Add labels to images of a `multi_label` data set."""

    act: Literal["add_labels"]
    labels: NewLabels = Field(min_length=1)


class RemoveLabels(ImageSelection):
    """Remove labels from images of a `multi_label` data set; an image without any left shows none of the labels."""

    act: Literal["remove_labels"]
    labels: list[Label] = Field(min_length=1, max_length=1000)


class Exclude(ImageSelection):
    """Exclude images from snapshots, trainings, evaluations and batches."""

    act: Literal["exclude"]


class Restore(ImageSelection):
    """Undo the exclusion of images."""

    act: Literal["restore"]


class SetSplit(ImageSelection):
    act: Literal["split"]
    split: Split | None = Field(description="Null: the next training assigns it.")


class SetCrop(ImageSelection):
    """Use only a part of the picture; the picture itself is not changed."""

    act: Literal["crop"]
    crop: Box | None = Field(
        description="Left, upper, right, lower in pixels of the upright picture; null: the whole picture."
    )


class ReviewImages(ImageSelection):
    """Accept or reject images from corrected predictions. Other images are not changed."""

    act: Literal["review"]
    review: Literal["accepted", "rejected"]


class Dismiss(ImageSelection):
    """Dismiss findings: they are not listed again, those about a label until the image has another."""

    act: Literal["dismiss"]
    findings: list[FindingKind] = Field(min_length=1, max_length=20)


class MergeLabels(Request):
    act: Literal["merge_labels"]
    labels: list[Label] = Field(min_length=1, max_length=1000)
    into: NewLabel


class RenameLabel(Request):
    act: Literal["rename_label"]
    label: Label
    to: NewLabel


class DeleteLabel(Request):
    """Remove a label from all images that have it; the images are kept."""

    act: Literal["delete_label"]
    label: Label


class LabelSuggestion(Request):
    image: ImageId
    label: NewLabel | None = None
    labels: NewLabels | None = None

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        check_one(self, "label", "labels")
        return self


class AcceptLabels(Request):
    """Set a label for each image, such as the one that a model suggested."""

    act: Literal["accept_labels"]
    labels: list[LabelSuggestion] = Field(min_length=1, max_length=MOST_IMAGES)


class CropSuggestion(Request):
    image: ImageId
    crop: Box


class AcceptCrops(Request):
    """Set a crop box for each image."""

    act: Literal["accept_crops"]
    crops: list[CropSuggestion] = Field(min_length=1, max_length=MOST_IMAGES)


class ImageGroup(Request):
    """Similar images, and the one to keep."""

    images: ImageIds
    keep: ImageId

    @model_validator(mode="after")
    def _holds_what_is_kept(self) -> Self:
        if self.keep not in self.images:
            raise ValueError("`keep` is not among `images`")
        return self


class KeepBest(Request):
    """Exclude all images of each group but one."""

    act: Literal["keep_best"]
    groups: list[ImageGroup] = Field(min_length=1, max_length=MOST_IMAGES)


Act = (
    Relabel
    | AddLabels
    | RemoveLabels
    | Exclude
    | Restore
    | SetSplit
    | SetCrop
    | ReviewImages
    | Dismiss
    | MergeLabels
    | RenameLabel
    | DeleteLabel
    | AcceptLabels
    | AcceptCrops
    | KeepBest
)
ActName = Literal[
    "relabel",
    "add_labels",
    "remove_labels",
    "exclude",
    "restore",
    "split",
    "crop",
    "review",
    "dismiss",
    "merge_labels",
    "rename_label",
    "delete_label",
    "accept_labels",
    "accept_crops",
    "keep_best",
]


class Revision(Answer):
    """One edit of a data set: who made it, when, and how many images it changed."""

    object: Literal["revision"] = "revision"
    id: str
    dataset_id: str
    act: str
    """The requested edit; also `undo`, `feedback` and `import`."""
    field: str
    """The changed field of the images: `label`, `split`, `excluded`, `crop`, `review` or `dismissed`."""
    description: str
    images: int
    """How many images changed."""
    created_by: str | None = None
    """The id of the key."""
    author: str | None = None
    """The name that the key had."""
    undoes: str | None = None
    undone_by: str | None = None
    created_at: datetime
    warnings: list[dict[str, Any]] = []
    """Only in the response to the edit: labels that look like others in the data set."""
    links: dict[str, str] = {}


class RevisionChange(Answer):
    """What a revision changed of one image."""

    image_id: str
    before: Any
    after: Any


class ImageChange(RevisionChange):
    """What a revision changed of an image, and the revision."""

    revision: Revision


class Correction(Request):
    """One wrong prediction, by `seq` or `custom_id`, and its true label or labels."""

    seq: Whole | None = None
    custom_id: str | None = Field(None, min_length=1, max_length=1000)
    label: NewLabel | None = None
    labels: NewLabels | None = Field(None, description="`[]`: it shows none of the labels.")

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        check_one(self, "seq", "custom_id")
        check_one(self, "label", "labels")
        return self


class FeedbackCreate(Request):
    corrections: list[Correction] = Field(min_length=1, max_length=MOST_CORRECTIONS)
    dataset: str | None = Field(None, description="Id or name; by default the one that the model was trained on.")


class FeedbackItem(Answer):
    """The verdict on one correction."""

    seq: int
    custom_id: str
    verdict: Literal["accepted", "duplicate", "rejected"]
    """`duplicate`: the data set already has the picture, which is not changed."""
    label: str | None = None
    """The image's label now."""
    labels: list[str] | None = None
    image_id: str | None = None
    error: Problem | None = None


class Feedback(Answer):
    """Corrections that became images of a data set, pending review."""

    object: Literal["feedback"] = "feedback"
    dataset_id: str
    revision_id: str | None = None
    """Null where no image is new."""
    accepted: int
    duplicates: int
    rejected: int
    items: list[FeedbackItem]
