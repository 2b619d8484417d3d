"""The input of `training.embed`, as a file in its own folder. Knows no torch."""

from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.engine_options import EngineOptions
from tsukiji.errors import Invalid
from tsukiji.types import Box
from tsukiji.vision.feature_cache import content_of

SURVEY_FILE: Final = "survey.json"


class EmbeddedPicture(BaseModel):
    """A picture; `path` is a local file."""

    model_config = ConfigDict(frozen=True)

    path: Path
    sha256: str
    crop: Box | None = None
    """The part of the picture that is looked at."""

    @property
    def content(self) -> str:
        """Names the pixels, see `content_of`."""
        return content_of(self.sha256, self.crop)


class EmbedRequest(EngineOptions):
    """`survey.json`: pictures to embed with a backbone, and the file for the results."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str
    image_size: int
    images: list[EmbeddedPicture]
    features: Path
    features_bytes: int = 2**31
    weights_dir: Path | None = None
    download: bool = True
    limits: dict[str, Any] = Field(default_factory=dict)
    """Fields of `tsukiji.vision.decoding.decode.DecodeLimits`; its defaults where absent."""


def write_survey(folder: Path, survey: EmbedRequest) -> None:
    (folder / SURVEY_FILE).write_text(survey.model_dump_json(), encoding="utf-8")


def read_survey(folder: Path) -> EmbedRequest:
    """Raises: Invalid: `survey.json` is missing or does not fit."""
    try:
        return EmbedRequest.model_validate_json((folder / SURVEY_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise Invalid(f"The request cannot be read: {error}") from error
