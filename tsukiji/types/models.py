"""Models, and the names that point to them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from tsukiji.types.base import Answer, Kind, Request


class HeatmapTest(Answer):
    """Whether a model's heatmaps mean anything: tried on its held-out images when the first was asked for."""

    images: int
    method: Literal["grad_cam", "occlusion"] = "grad_cam"
    """The one that fared better."""
    beats_random: float
    """On what part of them its heatmap tells better than random ones what the model goes by (insertion, deletion)."""
    withheld: str | None = None
    """Why no heatmaps are shown."""


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
    """On its own validation images; of a model of several labels, what part of them got exactly their set."""
    aliases: list[str] = []
    dataset_id: str | None = None
    snapshot_id: str | None = None
    training_id: str | None = None
    evaluation_id: str | None = None
    imported_from: str | None = None
    """The id that it has where it was trained, if it came as a package."""
    recipe: dict[str, Any] = {}
    weights_source: str | None = None
    """Where the weights came from that the training began with."""
    versions: dict[str, Any] = {}
    """Of the programs that made it, by name."""
    heatmap: HeatmapTest | None = None
    """Null until a heatmap was asked for."""
    bytes: int = 0
    created_at: datetime
    links: dict[str, str] = {}


ExportFormat = Literal["onnx", "fastai"]


class ExportCreate(Request):
    format: ExportFormat = Field(description="`onnx`, or `fastai`: a pickle for `load_learner`, to be downloaded only.")


class ModelExport(Answer):
    """A model in another format, and what was measured about it."""

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


class Alias(Answer):
    object: Literal["alias"] = "alias"
    name: str
    model_id: str
    updated_at: datetime


class AliasMove(Answer):
    """One line of an alias's history."""

    model_id: str | None
    """Null: the alias was deleted."""
    moved_by: str | None
    """Id of the key."""
    at: datetime
    model_exists: bool
