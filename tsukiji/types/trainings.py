"""Recipes, trainings and their metrics."""

from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from tsukiji.types.base import Answer, Metadata, Name, Request

Preset = Literal["quick", "standard", "thorough"]
Backbone = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "efficientnet_lite0",
    "efficientnet_lite2",
    "mobilenetv3_large_100",
    "efficientnet_b0",
    "convnext_atto",
    "convnext_tiny",
    "vit_small_patch14_dinov2",
    "vit_base_patch16_siglip",
]
AUTO: Final = "auto"
DEFAULT: Final[Backbone] = "resnet34"
"""The backbone of the notebooks that Tsukiji grew from."""
FALLBACK: Final[Backbone] = "efficientnet_lite0"
"""The backbone of `auto` if resnet34's weights are not available: every worker has its weights from a package."""
Weights = Literal["torchvision", "ra4"]
WEIGHTS_OF: Final[dict[Weights, tuple[Backbone, ...]]] = {
    "torchvision": ("resnet18", "resnet34", "resnet50"),
    "ra4": ("resnet34",),
}
PATCHES: Final[dict[Backbone, int]] = {"vit_small_patch14_dinov2": 14, "vit_base_patch16_siglip": 16}
"""Of transformers: pixels on each side of what one token sees."""
PRESET_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "quick": {"epochs": 20, "learning_rate": 3e-3},
    "thorough": {"learning_rate": None},
}
"""Where they are not those of `Recipe`."""


class BackboneWeights(Answer):
    """Whether and where a machine has a backbone's pretrained weights."""

    backbone: str
    weights: str
    """Name of the weights in a recipe."""
    library: str
    place: str | None
    """Where they were found; null: not on this machine."""
    path: str | None
    bytes: int | None


class EpochMetrics(Answer):
    """One finished epoch of a training; losses are mean cross-entropy in nats, accuracy a fraction of 1.

    In a multi-label training both are binary, over each label of each image.
    """

    epoch: int
    train_loss: float
    valid_loss: float
    accuracy: float
    mean_average_precision: float | None = None
    """Of the held-out images; only for multi-label trainings."""
    seconds: float


class Recipe(Request):
    """How to train. The defaults are those of the notebook that Tsukiji grew from.

    `epochs` and `learning_rate` differ by preset; missing members are filled in, so that a recipe is always complete.
    """

    preset: Preset = Field(
        "standard",
        description="`quick`: a linear classifier on features that are computed once and kept, in seconds. `standard`: "
        "frozen body, new head, one-cycle, fastai's default augmentation. `thorough`: the whole network, at the "
        "learning rate that a search suggests, keeping the best epoch.",
    )
    backbone: Literal[Backbone, "auto"] = Field(
        "resnet34",
        description="ResNets are torchvision's; the others need timm on the worker. `auto`: resnet34 if a worker "
        "has its weights, else efficientnet_lite0; chosen at submission, and recorded in the job.",
    )
    weights: Weights | None = Field(
        None,
        description="Which pretrained weights, if a backbone has several; null: its library's default. `ra4`: timm's "
        "for resnet34, with 77.5% accuracy on ImageNet at 224 pixels (torchvision's: 73.3%).",
    )
    pretrained: bool = Field(
        True, description="Start from pretrained weights; false: random weights, and all layers are trained."
    )
    epochs: int = Field(10, ge=1, le=1000, description="10; `quick`: at most 20 iterations over the cached features.")
    image_size: int = Field(224, ge=32, le=1024, description="Input size in pixels.")
    batch_size: int = Field(64, ge=2, le=1024)
    learning_rate: float | None = Field(
        1e-3,
        gt=0,
        le=10,
        description="Maximum of the one-cycle schedule: 0.001; null, the default of `thorough`: searched; `quick` has "
        "none.",
    )
    valid_fraction: float = Field(
        0.3, gt=0, lt=1, description="Fraction held out of each class, for images without a split."
    )
    seed: int = Field(42, ge=0, lt=2**31)
    flip: bool = Field(True, description="Allow mirroring in training; use false for text, digits and signs.")
    class_weights: Literal["auto", "balanced", "none"] = Field(
        "auto",
        description="`balanced`: weight rare classes higher, so that all classes count the same. `auto`: balanced if "
        "the largest class has more than twice the images of the smallest.",
    )

    precision: Literal["auto", "float32"] = Field(
        "auto",
        description="`float32`: the model is evaluated and served so. `auto`: in the fastest precision of the machine "
        "that trains it, bfloat16 or int8, unless held-out images show a loss.",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("preset"), str):
            return values
        return PRESET_DEFAULTS.get(values["preset"], {}) | values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.preset == "quick" and not self.pretrained:
            raise ValueError(
                "quick needs pretrained weights, because it learns from their features; use standard without them"
            )
        if self.weights and self.backbone not in WEIGHTS_OF[self.weights]:
            raise ValueError(f"the weights {self.weights} are for {', '.join(WEIGHTS_OF[self.weights])} only")
        patch = 1 if self.backbone == AUTO else PATCHES.get(self.backbone, 1)
        if self.image_size % patch:
            near = max(round(self.image_size / patch), 3) * patch
            raise ValueError(f"image_size must be a multiple of {patch} for {self.backbone}, for instance {near}")
        return self


class TrainingCreate(Request):
    dataset: str = Field(description="Data set id or name.", examples=["sushi"])
    recipe: Recipe = Recipe()
    name: Name | None = Field(None, description="Name of the model; the data set's name by default.")
    unknown: str | None = Field(
        None,
        description="Id or name of a data set of other things, to measure how many of them the model takes for one of "
        "its classes. They are not trained on.",
    )
    resplit: bool = Field(
        False, description="Draw new splits; otherwise an image keeps the split of an earlier training."
    )
    metadata: Metadata = {}
