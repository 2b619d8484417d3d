"""Files of a conversion of a model, in its own folder. Knows no fastai and no torch."""

import json
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from tsukiji.errors import Invalid
from tsukiji.types import ExportFormat

CONVERSION_FILE: Final = "conversion.json"
FACTS_FILE: Final = "facts.json"
SUFFIXES: Final[dict[ExportFormat, str]] = {"onnx": ".onnx", "fastai": ".pkl"}


class Conversion(BaseModel):
    """`conversion.json`: a package, the target format, and pictures to compare both on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: ExportFormat
    package: Path
    images: list[Path] = []
    """Held-out pictures, as uploaded."""
    limits: dict[str, Any] = {}
    """Fields of `tsukiji.vision.decoding.decode.DecodeLimits`; its defaults where absent."""


def target_of(folder: Path, conversion: Conversion) -> Path:
    """Return the path of the converted file."""
    return folder / f"model{SUFFIXES[conversion.format]}"


def write_request(folder: Path, conversion: Conversion) -> None:
    (folder / CONVERSION_FILE).write_text(conversion.model_dump_json(), encoding="utf-8")


def read_request(folder: Path) -> Conversion:
    """Raises: Invalid: `conversion.json` is missing or does not fit."""
    try:
        return Conversion.model_validate_json((folder / CONVERSION_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise Invalid(f"The conversion cannot be read: {error}") from error


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    (folder / FACTS_FILE).write_text(json.dumps(facts), encoding="utf-8")


def read_facts(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / FACTS_FILE).read_bytes())
    return facts
