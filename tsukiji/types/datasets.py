"""Data sets, images, and verdicts on imported files."""

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
"""The role of a folder: label of the pictures directly in it, split of all pictures in it, or neither."""


class DatasetCreate(Request):
    name: Name
    description: str = Field("", max_length=2000)
    kind: Kind = Field("single_label", description="`multi_label`: an image may have several labels. Immutable.")


class ImportOptions(Request):
    """How an import reads its files."""

    format: ImportFormat = Field(
        "auto", description="Where the labels come from; `auto` looks for tables and exports of other tools."
    )
    columns: dict[Column, ColumnName | ColumnNames] = Field(
        {},
        description="The table's own names of its columns, where they are not the usual ones; of `label` also a list: "
        "columns of 0 and 1 that are named like labels.",
        max_length=5,
    )
    separator: str | None = Field(
        None, min_length=1, max_length=5, description="Separator of several labels in one cell; by default `|` or `;`."
    )
    folders: dict[ColumnName, FolderRole] = Field(
        {},
        description="Roles of folders whose names mislead, by name or by path from the top: `label`, a split, or "
        "`none` for neither.",
        max_length=1000,
    )
    label: Label | None = Field(None, description="Label of images that no table gives one; precedes their folders.")
    split: Split | None = Field(None, description="Split of images that no table gives one.")
    group: Label | None = Field(None, description="Group of images that no table gives one.")
    encoding: Encoding | None = Field(
        None,
        description="Encoding of the names in an archive that does not declare it, such as cp932; guessed if null.",
    )

    @field_validator("columns")
    @classmethod
    def _lists_labels_only(cls, columns: dict[Column, str | list[str]]) -> dict[Column, str | list[str]]:
        if several := [column for column, name in columns.items() if isinstance(name, list) and column != "label"]:
            raise ValueError(f"only `label` may be several columns, not `{several[0]}`")
        return columns

    @field_validator("label", "group")
    @classmethod
    def _clean(cls, word: str | None, info: ValidationInfo) -> str | None:
        return clean_word(word, info.field_name or "label")


class ImportCreate(ImportOptions):
    """What to import: pictures, a table about them, or a table that names them."""

    upload: str | None = Field(None, description="Id of a completed upload: a zip or tar of pictures.")
    source: Url | None = Field(None, description="A folder or S3 prefix of pictures that the service may read.")
    urls: list[Annotated[str, Field(min_length=1, max_length=2000)]] | None = Field(
        None, min_length=1, description="Addresses of pictures, if the service may fetch them."
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
    """Images of a `multi_label` data set marked as having none of the labels; they are not unlabelled."""
    splits: dict[str, int] = {}
    """Images per split given by the user; `unassigned` are split when a training starts."""
    excluded: int = 0
    """Excluded images."""
    pending: int = 0
    """Images from corrected predictions that are pending review."""
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
    """Set by the user: pictures of one group are never on both sides of a split."""
    crop: Box | None = None
    """The part of the picture that is used; null: the whole picture."""
    excluded: bool = False
    """Left out of snapshots, trainings, evaluations and batches."""
    review: Review | None = None
    """Review status of a corrected prediction; null for other images."""
    dismissed: list[str] = []
    """Kinds of findings that were dismissed."""
    sha256: str
    width: int
    height: int
    bytes: int
    format: str
    created_at: datetime
    links: dict[str, str] = {}


class FileVerdict(Answer):
    """The verdict on one file."""

    name: str
    verdict: Literal["accepted", "duplicate", "rejected"]
    label: str | None = None
    labels: list[str] | None = None
    """All labels that the image has now, including those of this file."""
    image_id: str | None = None
    """The new image, or the one that this file duplicates."""
    error: Problem | None = None


class ImportSummary(Answer):
    """Verdicts of an import so far, counted."""

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
    """Accepted input that looks like a mistake, such as an unknown column."""
