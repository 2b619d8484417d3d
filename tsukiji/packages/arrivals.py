"""A package as it arrives, a stranger's zip or folder: unpacked safely and checked. Knows no torch and no service."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tsukiji.archive import ArchiveLimits, Entry, entries
from tsukiji.errors import ArchiveError, EntryIgnored, PackageInvalid
from tsukiji.packages.tensors import Header, check_fit, read_header
from tsukiji.types import Metrics, Split
from tsukiji.vision import package
from tsukiji.vision.package import Example, Manifest, ModelConfig, Part

MAX_FILES: Final = 200
LABEL_CHARACTERS: Final = 200


class Evaluated(Part):
    """What `evaluation.json` says, of what it may say."""

    metrics: Metrics
    split: Split = "valid"
    recipe: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies defaults
    """Empty where it is not told."""


@dataclass(frozen=True)
class Arrival:
    """A package that is whole, as far as can be told without running it."""

    manifest: Manifest
    config: ModelConfig
    examples: list[Example]
    evaluated: Evaluated | None
    headers: dict[str, Header]
    """Of its safetensors files, by name."""


def limits_of(max_bytes: int, max_ratio: float = 100) -> ArchiveLimits:
    """Return what a zip of `max_bytes` may hold as a package: weights do not shrink, so it unpacks to little more."""
    expanded = 4 * max_bytes
    return ArchiveLimits(max_bytes, MAX_FILES, expanded, expanded, max_ratio)


def unpack(archive: Path, folder: Path, limits: ArchiveLimits) -> None:
    """Write the files of a zip into an empty folder; all may lie in one folder of the zip.

    Raises:
        PackageInvalid: it is no zip archive, is too large, or holds what has no business in a package.
    """
    try:
        for entry in entries(archive, limits):
            if not isinstance(entry.error, EntryIgnored):
                _write(entry, folder)
    except ArchiveError as error:
        raise PackageInvalid(f"The archive cannot be taken: {error.detail}", reason=error.code) from error


def check(folder: Path) -> Arrival:
    """Return what the package holds, having held its files against its manifest and each other.

    Raises:
        PackageInvalid: something is missing, altered, of another format, or does not go with the rest.
    """
    manifest = package.verify(folder)
    config = package.read_config(folder)
    if long := [name for name in config.label_names if len(name) > LABEL_CHARACTERS]:
        raise PackageInvalid(f"The label {long[0][:40]!r}... has {len(long[0])} characters; {LABEL_CHARACTERS} may be.")
    calibration = package.read_calibration(folder)
    if calibration.thresholds is not None and len(calibration.thresholds) != config.num_classes:
        raise PackageInvalid(
            f"{package.CALIBRATION} holds {len(calibration.thresholds)} thresholds for {config.num_classes} labels."
        )
    if calibration.known and package.KNOWN not in manifest.files:
        raise PackageInvalid(f'{package.KNOWN} is missing, by which {package.CALIBRATION} tells "none of these".')
    headers = {name: read_header(folder / name) for name in manifest.files if name.endswith(".safetensors")}
    check_fit(headers[package.WEIGHTS], config, package.WEIGHTS)
    return Arrival(manifest, config, _read_examples(folder, config), read_evaluation(folder, config), headers)


def read_evaluation(folder: Path, config: ModelConfig) -> Evaluated | None:
    """Return how good the model was found to be where it was trained, or None where the package does not say.

    Raises:
        PackageInvalid: `evaluation.json` is not valid, or speaks of other labels.
    """
    path = folder / package.EVALUATION
    if not path.exists():
        return None
    try:
        evaluated = Evaluated.model_validate_json(path.read_bytes())
        json.dumps(evaluated.model_dump(), allow_nan=False)  # a database keeps no NaN
    except ValueError as error:
        raise PackageInvalid(f"{package.EVALUATION} is not valid: {error}") from error
    several = config.kind == "multi_label"
    if (evaluated.metrics.multi_label is not None) != several:
        raise PackageInvalid(f"{package.EVALUATION} speaks of another kind of model than {package.CONFIG}.")
    if evaluated.metrics.label_names != config.label_names:
        raise PackageInvalid(f"{package.EVALUATION} speaks of other labels than {package.CONFIG}.")
    return evaluated


def _read_examples(folder: Path, config: ModelConfig) -> list[Example]:
    examples = package.read_examples(folder)
    for example in examples:
        if len(example.probabilities) != config.num_classes or example.label not in config.label_names:
            raise PackageInvalid(f"{package.EXAMPLES}: {example.file} speaks of other labels than {package.CONFIG}.")
    return examples


def _write(entry: Entry, folder: Path) -> None:
    *above, name = entry.name.split("/")
    if len(above) > 1 or not (package.SAFE_NAME.fullmatch(name)):
        raise PackageInvalid(f"A model package cannot hold {entry.name[:200]!r}.")
    data = entry.read()
    try:
        with (folder / name).open("xb") as file:
            file.write(data)
    except FileExistsError as error:
        raise PackageInvalid(f"The archive holds {name} twice.") from error
