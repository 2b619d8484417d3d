"""Preprocessing: size, resampling, normalisation. Knows no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from tsukiji.errors import PackageInvalid

Channels = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]

IMAGENET_MEAN: Final[Channels] = (0.485, 0.456, 0.406)
IMAGENET_STD: Final[Channels] = (0.229, 0.224, 0.225)
RESAMPLING: Final = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Preprocess:
    """How to make a network's input from a picture; the same in training and inference.

    Attributes:
        size: side of the network's square input in pixels.
        resize: `crop` cuts out the largest centred square; `squish` changes the proportions; `pad` fits the whole
            picture in and fills the rest with its mirror image.
        interpolation: of the antialiased resize (Pillow's).
        mean: subtracted per channel from values in 0..1; ImageNet's by default.
        std: divides per channel after that.
    """

    size: Annotated[int, Field(ge=1, le=4096)]
    resize: Literal["crop", "squish", "pad"] = "crop"
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: Channels = IMAGENET_MEAN
    std: tuple[Positive, Positive, Positive] = IMAGENET_STD

    def to_dict(self) -> dict[str, Any]:
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read the output of `to_dict`.

        Raises:
            PackageInvalid: a value is out of range, or a key is unknown: ignoring one would change the pixels.
        """
        try:
            return TypeAdapter(cls).validate_python(dict(values))
        except ValidationError as error:
            raise PackageInvalid(f"The preprocessing is not valid: {error}") from error

    def fit(self, image: Image.Image) -> Image.Image:
        """Return the picture as `size` x `size` pixels.

        With `crop`, pixel for pixel what fastai 2.8's `Resize(size)` makes of a validation picture.
        """
        if self.resize == "pad":
            return self._pad(image)
        if self.resize == "crop":
            image = image.crop(self._centre(*image.size))
        return image.resize((self.size, self.size), RESAMPLING[self.interpolation])

    def to_pixels(self, images: Sequence[Image.Image]) -> npt.NDArray[np.uint8]:
        """Return preprocessed RGB pictures before normalisation: uint8 of shape (N, size, size, 3)."""
        pixels = np.empty((len(images), self.size, self.size, 3), np.uint8)
        for index, image in enumerate(images):
            pixels[index] = np.asarray(self.fit(image))
        return pixels

    def to_array(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Return preprocessed RGB pictures: float32 of shape (N, 3, size, size)."""
        scaled = self.to_pixels(images).astype(np.float32) / np.float32(255)
        normalised = (scaled - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))

    def _centre(self, width: int, height: int) -> tuple[int, int, int, int]:
        # fastai's exact arithmetic: its rounding can lose a pixel, and then it must be lost here too.
        side = int(min(width / self.size, height / self.size) * self.size)
        left, upper = int(0.5 * (width - side)), int(0.5 * (height - side))
        return left, upper, left + side, upper + side

    def _pad(self, image: Image.Image) -> Image.Image:
        scale = self.size / max(image.size)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        fitted = image.resize(size, RESAMPLING[self.interpolation])
        across, down = self.size - fitted.width, self.size - fitted.height
        margins = ((down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0))
        return Image.fromarray(np.pad(np.asarray(fitted), margins, mode="reflect"))
