"""Data sets, images, and what became of the files that were sent."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from tsukiji.labels import clean_word
from tsukiji.types.base import Answer, Box, Encoding, Kind, Label, Name, Problem, Request, Review, Split, Url, check_one
from tsukiji.types.batches import ErrorSummary

ImportFormat = Literal[
    "auto", "folders", "table", "azure", "vertex", "sagemaker", "teachable", "coco", "labelstudio", "fiftyone"
]
Column = Literal["file", "url", "label", "split", "group"]
ColumnName = Annotated[str, Field(min_length=1, max_length=200)]
ColumnNames = Annotated[list[ColumnName], Field(min_length=1, max_length=1000)]


FolderRole = Literal["label", "train", "valid", "test", "none"]
"""What a folder is: the label of the pictures directly in it, the split of all in it, or neither."""


class DatasetCreate(Request):
    name: Name
    description: str = Field("", max_length=2000)
    kind: Kind = Field("single_label", description="`multi_label`: an image may have several labels. It stays so.")


class ImportOptions(Request):
    """How an import reads what it is given."""

    format: ImportFormat = Field(
        "auto", description="What says the labels; `auto` looks for tables and the exports of other tools."
    )
    columns: dict[Column, ColumnName | ColumnNames] = Field(
        {},
        description="The table's own names of its columns, where they are not the usual ones; of `label` also a list: "
        "columns of 0 and 1 that are named like labels.",
        max_length=5,
    )
    separator: str | None = Field(
        None, min_length=1, max_length=5, description="Between the labels of one cell; by default `|` or `;`."
    )
    folders: dict[ColumnName, FolderRole] = Field(
        {},
        description="What folders are, where their names mislead, by name or by path from the top: `label`, a split, "
        "or `none` for neither.",
        max_length=1000,
    )
    label: Label | None = Field(None, description="Of the images for which no table tells one; before their folders.")
    split: Split | None = Field(None, description="Likewise.")
    group: Label | None = Field(None, description="Likewise.")
    encoding: Encoding | None = Field(
        None,
        description="The code page of the names in an archive that does not say it, such as cp932; guessed if null.",
    )

    @field_validator("columns")
    @classmethod
    def _lists_labels_only(cls, columns: dict[Column, str | list[str]]) -> dict[Column, str | list[str]]:
        if several := [column for column, name in columns.items() if isinstance(name, list) and column != "label"]:
            raise ValueError(f"only `label` may be several columns, and not `{several[0]}`")
        return columns

    @field_validator("label", "group")
    @classmethod
    def _clean(cls, word: str | None, info: ValidationInfo) -> str | None:
        return clean_word(word, info.field_name or "label")


class ImportCreate(ImportOptions):
    """What is to be read into a data set: pictures, a table about them, or a table that says where they are."""

    upload: str | None = Field(None, description="Id of a completed upload: a zip or tar of pictures.")
    source: Url | None = Field(None, description="A folder or S3 prefix of pictures that the service may read.")
    urls: list[Annotated[str, Field(min_length=1, max_length=2000)]] | None = Field(
        None, min_length=1, description="Addresses of pictures, where the service may fetch such."
    )
    table: str | None = Field(
        None,
        description="Id of a completed upload: a table or another tool's export. With `upload` or `source`, or alone.",
    )

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if self.table is None or self.urls is not None:
            check_one(self, "upload", "source", "urls", "table")
        elif self.upload is not None and self.source is not None:
            check_one(self, "upload", "source")
        return self


class ClassCount(Answer):
    label: str | None
    images: int


class Dataset(Answer):
    object: Literal["dataset"] = "dataset"
    id: str
    name: str
    description: str = ""
    kind: Kind = "single_label"
    images: int = 0
    classes: list[ClassCount] = []
    """Images per label, most first; an image counts for each of its labels. Label null counts the unlabelled."""
    none_of_these: int = 0
    """Images of a `multi_label` data set that have none of the labels, as somebody said: they are not unlabelled."""
    splits: dict[str, int] = {}
    """Images per split given by the user; `unassigned` are split when a training starts."""
    excluded: int = 0
    """How many of the images are kept out."""
    pending: int = 0
    """How many came by a corrected prediction and wait for review."""
    created_at: datetime


class Image(Answer):
    object: Literal["image"] = "image"
    id: str
    dataset_id: str
    name: str
    label: str | None
    """Null in a `multi_label` data set."""
    labels: list[str] | None = None
    """All labels, sorted; null of an unlabelled image. `[]`: it shows none of the labels."""
    split: Split | None
    group: str | None = None
    """The user's own: pictures of one group never stand on both sides of a split."""
    crop: Box | None = None
    """The part of the picture that is used; null: all of it."""
    excluded: bool = False
    """It takes no part in snapshots, trainings, evaluations and batches."""
    review: Review | None = None
    """How the review of a corrected prediction stands; null where there is none to make."""
    sha256: str
    width: int
    height: int
    bytes: int
    format: str
    created_at: datetime
    links: dict[str, str] = {}


class FileVerdict(Answer):
    """What became of one file that was sent."""

    name: str
    verdict: Literal["accepted", "duplicate", "rejected"]
    label: str | None = None
    labels: list[str] | None = None
    """In a `multi_label` data set all that the image has now, those of this file among them; else the label."""
    image_id: str | None = None
    """The image it became, or the one that it is a duplicate of."""
    error: Problem | None = None


class ImportSummary(Answer):
    """What became of an import's files so far."""

    accepted: int
    duplicates: int
    rejected: int
    errors: list[ErrorSummary]
    """Of the rejected, most first."""


class UploadResult(Answer):
    object: Literal["upload_result"] = "upload_result"
    accepted: int
    duplicates: int
    rejected: int
    files: list[FileVerdict]
    warnings: list[dict[str, Any]] = []
    """What looks like a mistake and was taken all the same, like a column whose name is not known."""
