"""A model as a folder without pickle: named files, and a manifest of their hashes. Knows neither torch nor a store.

`manifest.json` is written last, by `seal`; `verify` rejects files that it does not list.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tsukiji.errors import PackageInvalid
from tsukiji.json_input import read_json
from tsukiji.types import Backbone, Kind, Label
from tsukiji.types.execution import Execution
from tsukiji.vision.shapes import Head

if TYPE_CHECKING:  # it needs numpy and Pillow, which are missing in a client that only checks hashes
    from tsukiji.vision.preprocess import Preprocess

FORMAT: Final = "tsukiji-model/1"
MANIFEST: Final = "manifest.json"
WEIGHTS: Final = "model.safetensors"
CONFIG: Final = "config.json"
PREPROCESS: Final = "preprocess.json"
CALIBRATION: Final = "calibration.json"
EVALUATION: Final = "evaluation.json"
KNOWN: Final = "known.safetensors"
EXAMPLES: Final = "examples.json"
HELD_OUT: Final = "held_out.json"
INT8: Final = "int8.safetensors"
CARD: Final = "README.md"

REQUIRED: Final = frozenset({WEIGHTS, CONFIG, PREPROCESS, CALIBRATION})
# No suffix that any library unpickles; a plain name, so that nothing outside the folder can be addressed.
SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*\.(json|safetensors|md|txt|csv|png|onnx)")
MAX_JSON_BYTES: Final = 4 * 2**20
MAX_EVALUATION_BYTES: Final = 32 * 2**20
"""Of `evaluation.json`, whose matrices grow with the square of the labels: enough for about 1,000."""
MAX_FILES: Final = 200
MAX_FILE_BYTES: Final = 2**48
MOST_LABELS: Final = 10_000

Word = Annotated[str, Field(max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]
Shares = Annotated[list[Share], Field(max_length=MOST_LABELS)]
"""One value per label, in the order of `label_names`."""


class Part(BaseModel):
    """One JSON file of the package. Unknown members are ignored: a later version may add some."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, extra="ignore")


class FileFacts(Part):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]


class Manifest(Part):
    format: Literal["tsukiji-model/1"] = FORMAT
    model_id: Word
    created: datetime
    versions: Annotated[dict[Word, Word], Field(max_length=100)] = {}
    """Versions of the programs that made it, by name."""
    files: Annotated[dict[Word, FileFacts], Field(max_length=MAX_FILES)]


class ModelConfig(Part):
    """timm's members, plus the head."""

    architecture: Backbone
    num_classes: Annotated[int, Field(ge=1, le=MOST_LABELS)]
    num_features: Annotated[int, Field(ge=1, le=2**16)]
    kind: Kind = "single_label"
    label_names: Annotated[list[Label], Field(max_length=MOST_LABELS)]
    """In the order of the network's outputs."""
    head: Head = "fastai_concat_v1"
    pretrained: bool

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        if len(set(self.label_names)) != len(self.label_names) or len(self.label_names) != self.num_classes:
            raise ValueError("label_names must be num_classes different names")
        return self


class KnownFacts(Part):
    """Parameters of "none of these"; the statistics are in `known.safetensors`."""

    method: Literal["mahalanobis", "nearest_neighbours"] = "nearest_neighbours"
    min_known: Share
    """A lower known score means "none of these", unless another threshold is set."""


class Calibration(Part):
    """Logits are divided by `temperature` before the softmax, or the sigmoid of a multi-label model."""

    temperature: Annotated[float, Field(ge=1e-3, le=1e3)] = 1.0
    thresholds: Shares | None = None
    """Of a multi-label model: the probability from which an image has each label, in the order of the labels."""
    known: KnownFacts | None = None
    execution: Execution | None = None
    """What the head, the temperature and the statistics were fitted to; null in packages of earlier versions."""


class Example(Part):
    """A held-out picture as preprocessed, with the model's results: for a self-test anywhere."""

    file: Annotated[str, Field(pattern=rf"^{SAFE_NAME.pattern}$")]
    """PNG of `size` x `size` pixels, so that it is not resampled."""
    true_label: Label | None = None
    """Null for multi-label models."""
    true_labels: Annotated[list[Label], Field(max_length=MOST_LABELS)] | None = None
    """Of a multi-label model; empty if the image has none of the labels."""
    label: Label
    """The likeliest."""
    probabilities: Shares
    """Calibrated, computed on the CPU."""


class Examples(Part):
    examples: Annotated[list[Example], Field(max_length=100)]


P = TypeVar("P", bound=Part)


def write_part(folder: Path, name: str, part: "Part | Preprocess") -> None:
    """Write one JSON file of the package."""
    values = part.model_dump(mode="json") if isinstance(part, Part) else part.to_dict()
    text = json.dumps(values, indent=2, ensure_ascii=False)
    (folder / name).write_text(text + "\n", encoding="utf-8")


def seal(folder: Path, *, model_id: str, created: datetime, versions: Mapping[str, str]) -> Manifest:
    """Write the manifest of all files in the folder; call when they are complete.

    Raises:
        PackageInvalid: a required file is missing, or a file is not allowed in a package.
    """
    files = {name: _facts(folder / name) for name in sorted(_names(folder))}
    manifest = Manifest(model_id=model_id, created=created, versions=dict(versions), files=files)
    _check_names(manifest)
    write_part(folder, MANIFEST, manifest)
    return manifest


def seal_again(folder: Path, sealed: Manifest, changed: Collection[str]) -> Manifest:
    """Rewrite the manifest after some files were changed; the others are not read."""
    files = sealed.files | {name: _facts(folder / name) for name in changed}
    manifest = sealed.model_copy(update={"files": files})
    write_part(folder, MANIFEST, manifest)
    return manifest


def verify(folder: Path) -> Manifest:
    """Return the manifest after checking every file against it.

    Raises:
        PackageInvalid: a file is missing, altered, unlisted or unsafely named, or the format is unsupported.
    """
    manifest = read_manifest(folder)
    if unlisted := sorted(_names(folder) - manifest.files.keys()):
        raise PackageInvalid(f"The manifest does not list {', '.join(unlisted)}.")
    for name, facts in manifest.files.items():
        if not (folder / name).is_file():
            raise PackageInvalid(f"{name} is missing.")
        if _facts(folder / name) != facts:
            raise PackageInvalid(f"{name} was modified after the package was sealed.")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Raises: PackageInvalid: the file is missing or invalid, or lists a file that is not allowed."""
    manifest = read_part(folder, MANIFEST, Manifest)
    _check_names(manifest)
    return manifest


def read_config(folder: Path) -> ModelConfig:
    """Raises: PackageInvalid: the file is missing or invalid."""
    return read_part(folder, CONFIG, ModelConfig)


def read_calibration(folder: Path) -> Calibration:
    """Raises: PackageInvalid: the file is missing or invalid."""
    return read_part(folder, CALIBRATION, Calibration)


def read_examples(folder: Path) -> list[Example]:
    """Return the package's examples, if it has any.

    Raises:
        PackageInvalid: the list is invalid, or names a missing file.
    """
    if not (folder / EXAMPLES).exists():
        return []
    examples = read_part(folder, EXAMPLES, Examples).examples
    if missing := sorted(example.file for example in examples if not (folder / example.file).is_file()):
        raise PackageInvalid(f"{', '.join(missing)} is missing.")
    return examples


def read_preprocess(folder: Path) -> "Preprocess":
    """Raises: PackageInvalid: the file is missing or invalid."""
    from tsukiji.vision.preprocess import Preprocess  # noqa: PLC0415 - a client that checks hashes alone lacks numpy and Pillow

    try:
        return Preprocess.from_dict(read_json(read_text(folder, PREPROCESS)))
    except (ValueError, TypeError) as error:
        raise PackageInvalid(f"{PREPROCESS} is invalid: {error}") from error


def read_part(folder: Path, name: str, part: type[P], most: int = MAX_JSON_BYTES) -> P:
    """Return one JSON file of the package; one of more than `most` bytes is refused unread.

    Raises:
        PackageInvalid: the file is missing or invalid.
    """
    try:
        return part.model_validate_json(read_text(folder, name, most))
    except ValidationError as error:
        raise PackageInvalid(f"{name} is invalid: {first_error(error)}") from error


def first_error(error: ValidationError) -> str:
    """Return the first validation error in one line: there may be a million, and they quote the input."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(step)[:80] for step in first["loc"])
    return f"{place}: {first['msg'][:300]}" if place else first["msg"][:300]


def read_text(folder: Path, name: str, most: int = MAX_JSON_BYTES) -> bytes:
    """Raises: PackageInvalid: the file is missing, or has more than `most` bytes."""
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise PackageInvalid(f"{name} is missing.")
    if path.stat().st_size > most:
        raise PackageInvalid(f"{name} has {path.stat().st_size:,} bytes; at most {most:,} are read.")
    return path.read_bytes()


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != MANIFEST}


def _check_names(manifest: Manifest) -> None:
    if unsafe := sorted(name for name in manifest.files if not SAFE_NAME.fullmatch(name) or name == MANIFEST):
        raise PackageInvalid(f"A model package cannot hold {', '.join(unsafe)}.")
    if missing := sorted(REQUIRED - manifest.files.keys()):
        raise PackageInvalid(f"{', '.join(missing)} is missing.")


def _facts(path: Path) -> FileFacts:
    if path.is_symlink() or not path.is_file():
        raise PackageInvalid(f"A model package cannot hold {path.name}: it is not a regular file.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileFacts(sha256=digest, bytes=path.stat().st_size)
