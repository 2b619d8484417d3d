"""Models, aliases and exports."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from tsukiji.types.base import Answer, Kind, Request


class HeatmapTest(Answer):
    """Validation of a model's heatmaps on held-out images, done when the first one is requested."""

    images: int
    method: Literal["grad_cam", "occlusion"] = "grad_cam"
    """The method that scored better."""
    beats_random: float
    """Fraction of them on which its heatmap beats random ones (insertion, deletion)."""
    withheld: str | None = None
    """Why heatmaps are withheld."""


class Model(Answer):
    object: Literal["model"] = "model"
    id: str
    name: str
    kind: Kind = "single_label"
    label_names: list[str]
    backbone: str
    image_size: int
    pretrained: bool
    accuracy: float | None = None
    """On its own validation images; for a multi-label model, the fraction with exactly the right set."""
    aliases: list[str] = []
    dataset_id: str | None = None
    snapshot_id: str | None = None
    training_id: str | None = None
    evaluation_id: str | None = None
    imported_from: str | None = None
    """The model's id in the service that trained it, if it was imported."""
    recipe: dict[str, Any] = {}
    weights_source: str | None = None
    """Source of the pretrained weights."""
    versions: dict[str, Any] = {}
    """Of the libraries that made it, by name."""
    heatmap: HeatmapTest | None = None
    """Null until a heatmap is requested."""
    bytes: int = 0
    created_at: datetime
    links: dict[str, str] = {}


ExportFormat = Literal["onnx", "fastai"]


class ExportCreate(Request):
    format: ExportFormat = Field(description="`onnx`, or `fastai`: a pickle for `load_learner`, to be downloaded only.")


class ModelExport(Answer):
    """A model in another format, and how it compares with the original."""

    object: Literal["export"] = "export"
    model_id: str
    format: ExportFormat
    sha256: str
    bytes: int
    facts: dict[str, Any]
    created_at: datetime
    links: dict[str, str] = {}


class AliasPut(Request):
    model: str = Field(description="Model id, alias or name.")
    target_error: float | None = Field(
        None, gt=0, le=0.5, description="Of batches and predictions that name the alias and no threshold of their own."
    )
    confidence: float = Field(0.95, ge=0.5, le=0.999, description="With which `target_error` is kept.")


class Alias(Answer):
    object: Literal["alias"] = "alias"
    name: str
    model_id: str
    target_error: float | None = None
    """Of batches and predictions that name the alias and no threshold of their own."""
    confidence: float = 0.95
    updated_at: datetime


class AliasMove(Answer):
    """One line of an alias's history."""

    model_id: str | None
    """Null: the alias was deleted."""
    moved_by: str | None
    """Id of the key."""
    at: datetime
    model_exists: bool
