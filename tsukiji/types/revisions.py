"""Acts on a data set: what is asked for, and the revision that each leaves, by which it can be undone."""

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
"""That one act may name one by one; by a filter it may be any number."""
MOST_CORRECTIONS: Final = 100

ImageId = Annotated[str, Field(min_length=1, max_length=40)]
ImageIds = Annotated[list[ImageId], Field(min_length=1, max_length=MOST_IMAGES)]


class ImageFilter(Request):
    """Which images of a data set are meant: those that meet every member; without any, all."""

    label: Label | None = None
    unlabelled: bool = Field(False, description="Only those without a label.")
    none_of_these: bool = Field(False, description="Only those that show none of the labels, as somebody said.")
    split: Split | Literal["unassigned"] | None = Field(None, description="As it was set; `unassigned`: it was not.")
    excluded: bool | None = Field(None, description="`true`: only excluded ones; `false`: only others.")
    review: Review | None = Field(None, description="Of corrected predictions: how their review stands.")
    finding: FindingKind | None = Field(None, description="With this finding in the last analysis.")


class ImageSelection(Request):
    """Images by their ids, or by a filter."""

    images: ImageIds | None = Field(None, description="Ids.")
    filter: ImageFilter | None = Field(None, description="As the list of images takes it; `{}` means all.")

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        check_one(self, "images", "filter")
        return self


def check_label(request: Request) -> None:
    """Raise ValueError unless either `label` or `labels` is given, be it null."""
    if len(request.model_fields_set & {"label", "labels"}) != 1:
        raise ValueError("give either `label` or `labels`")


class Relabel(ImageSelection):
    """Give images these labels in place of theirs. In a `multi_label` data set `label` is a set of one."""

    act: Literal["relabel"]
    label: NewLabel | None = Field(None, description="Null takes the label away.")
    labels: NewLabels | None = Field(None, description="All of them; `[]`: none of the labels; null: not known.")

    @model_validator(mode="after")
    def _is_given(self) -> Self:
        check_label(self)
        return self


class AddLabels(ImageSelection):
    """Give images of a `multi_label` data set labels beside those that they have."""

    act: Literal["add_labels"]
    labels: NewLabels = Field(min_length=1)


class RemoveLabels(ImageSelection):
    """Take labels away from images of a `multi_label` data set; what has no other one shows none of the labels."""

    act: Literal["remove_labels"]
    labels: list[Label] = Field(min_length=1, max_length=1000)


class Exclude(ImageSelection):
    """Keep images out of snapshots, trainings, evaluations and batches."""

    act: Literal["exclude"]


class Restore(ImageSelection):
    """Take excluded images in again."""

    act: Literal["restore"]


class SetSplit(ImageSelection):
    act: Literal["split"]
    split: Split | None = Field(description="Null leaves it to the next training.")


class SetCrop(ImageSelection):
    """Use a part of the picture only; the picture itself stays as it is."""

    act: Literal["crop"]
    crop: Box | None = Field(description="Left, upper, right, lower in pixels of the upright picture; null: all of it.")


class ReviewImages(ImageSelection):
    """Accept or reject what became of corrected predictions. Other images are left alone."""

    act: Literal["review"]
    review: Literal["accepted", "rejected"]


class MergeLabels(Request):
    act: Literal["merge_labels"]
    labels: list[Label] = Field(min_length=1, max_length=1000)
    into: NewLabel


class RenameLabel(Request):
    act: Literal["rename_label"]
    label: Label
    to: NewLabel


class DeleteLabel(Request):
    """Take a label away from all images that have it; they stay, unlabelled or with their other labels."""

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
    """Give each image its own new label, such as the one that a model suggested."""

    act: Literal["accept_labels"]
    labels: list[LabelSuggestion] = Field(min_length=1, max_length=MOST_IMAGES)


class CropSuggestion(Request):
    image: ImageId
    crop: Box


class AcceptCrops(Request):
    """Give each image its own box."""

    act: Literal["accept_crops"]
    crops: list[CropSuggestion] = Field(min_length=1, max_length=MOST_IMAGES)


class ImageGroup(Request):
    """Images that are much alike, and the one to keep."""

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
    | MergeLabels
    | RenameLabel
    | DeleteLabel
    | AcceptLabels
    | AcceptCrops
    | KeepBest
)
AnyAct = Annotated[Act, Field(discriminator="act")]
ActName = Literal[
    "relabel",
    "add_labels",
    "remove_labels",
    "exclude",
    "restore",
    "split",
    "crop",
    "review",
    "merge_labels",
    "rename_label",
    "delete_label",
    "accept_labels",
    "accept_crops",
    "keep_best",
]


class Revision(Answer):
    """One act on a data set: who did it, when, and how many images it changed."""

    object: Literal["revision"] = "revision"
    id: str
    dataset_id: str
    act: str
    """As it was asked for; `undo`, `feedback` and `import` besides."""
    field: str
    """What it changed of the images: `label`, `split`, `excluded`, `crop` or `review`."""
    description: str
    images: int
    """How many it changed; those that were so already do not count."""
    created_by: str | None = None
    """The id of the key."""
    author: str | None = None
    """The name that the key had."""
    undoes: str | None = None
    undone_by: str | None = None
    created_at: datetime
    warnings: list[dict[str, Any]] = []
    """With the answer to the act alone: labels that it gave and that look like others of the data set."""
    links: dict[str, str] = {}


class RevisionChange(Answer):
    """What a revision changed of one image."""

    image_id: str
    before: Any
    after: Any


class Correction(Request):
    """One prediction that was wrong, by `seq` or by `custom_id`, and the right label, or all of them."""

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
    """What became of one correction."""

    seq: int
    custom_id: str
    verdict: Literal["accepted", "duplicate", "rejected"]
    """`duplicate`: the data set holds the picture already, and it stays as it is."""
    label: str | None = None
    """What the image is called now."""
    labels: list[str] | None = None
    image_id: str | None = None
    error: Problem | None = None


class Feedback(Answer):
    """Corrections that became images of a data set, waiting for review."""

    object: Literal["feedback"] = "feedback"
    dataset_id: str
    revision_id: str | None = None
    """Null where no image is new."""
    accepted: int
    duplicates: int
    rejected: int
    items: list[FeedbackItem]
