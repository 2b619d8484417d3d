"""An untrusted package, as a zip or folder: unpacked safely and checked. Knows no torch and no service."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tsukiji.errors import ArchiveError, EntryIgnored, PackageInvalid
from tsukiji.ingest.archives import ArchiveLimits, Entry, entries
from tsukiji.ingest.packages.evaluations import Evaluated, check_evaluation, read_evaluation
from tsukiji.ingest.packages.tensors import Header, check_fit, check_known, read_header
from tsukiji.json_input import read_json
from tsukiji.labels import clean_label
from tsukiji.types import Recipe
from tsukiji.vision import package
from tsukiji.vision.package import MAX_FILES, Example, Manifest, ModelConfig


@dataclass(frozen=True)
class CheckedPackage:
    """A package that is complete, as far as can be checked without running it."""

    manifest: Manifest
    config: ModelConfig
    examples: list[Example]
    evaluated: Evaluated | None
    headers: dict[str, Header]
    """Of its safetensors files, by name."""


def limits_of(max_bytes: int, max_ratio: float = 100) -> ArchiveLimits:
    """Return the limits of a zip of `max_bytes`: weights do not compress, so it unpacks to little more."""
    expanded = 4 * max_bytes
    return ArchiveLimits(max_bytes, MAX_FILES, expanded, expanded, max_ratio)


def unpack(archive: Path, folder: Path, limits: ArchiveLimits) -> None:
    """Unpack a zip into an empty folder; its files may be in one common folder.

    Raises:
        PackageInvalid: it is no zip archive, is too large, or has files not allowed in a package.
    """
    try:
        for entry in entries(archive, limits):
            if not isinstance(entry.error, EntryIgnored):
                _write(entry, folder)
    except ArchiveError as error:
        raise PackageInvalid(f"The archive cannot be used: {error.detail}", reason=error.code) from error


def check(folder: Path, manifest: Manifest) -> CheckedPackage:
    """Return the content of a package with verified hashes, after checking its files against each other.

    Raises:
        PackageInvalid: something is missing, altered, of another format, or inconsistent.
    """
    config = package.read_config(folder)
    calibration = package.read_calibration(folder)
    if calibration.thresholds is not None and len(calibration.thresholds) != config.num_classes:
        raise PackageInvalid(
            f"{package.CALIBRATION} holds {len(calibration.thresholds)} thresholds for {config.num_classes} labels."
        )
    if calibration.known and package.KNOWN not in manifest.files:
        raise PackageInvalid(f'{package.KNOWN} is missing, which {package.CALIBRATION} needs for "none of these".')
    headers = {name: read_header(folder / name) for name in manifest.files if name.endswith(".safetensors")}
    check_fit(headers[package.WEIGHTS], config, package.WEIGHTS)
    if package.KNOWN in headers:
        check_known(headers[package.KNOWN], config, package.KNOWN)
    if evaluated := read_evaluation(folder):
        check_evaluation(evaluated, config)
    return CheckedPackage(manifest, config, _read_examples(folder, config), evaluated, headers)


def check_size(folder: Path, config: ModelConfig) -> None:
    """Raise PackageInvalid unless our trainings allow pictures of this size; needs Pillow."""
    size = package.read_preprocess(folder).size
    try:
        Recipe(backbone=config.architecture, image_size=size)
    except ValidationError as error:
        raise PackageInvalid(
            f"{package.PREPROCESS}: size {size} is not possible: {package.first_error(error)}"
        ) from error


def check_held_out(folder: Path) -> None:
    """Raise PackageInvalid unless the statistics of held-out pictures, if there are some, fit; needs numpy."""
    from tsukiji.vision.drift import read_held_out  # noqa: PLC0415 - numpy, which the client alone does not have

    read_held_out(folder)


def leave_out_int8(folder: Path, manifest: Manifest) -> Manifest:
    """Take the body in int8 from a verified package; return the new manifest.

    It is for OpenVINO's parser, which is not made for strangers' files. The network in float32 is complete without it.
    """
    if package.INT8 not in manifest.files:
        return manifest
    (folder / package.INT8).unlink()
    files = {name: facts for name, facts in manifest.files.items() if name != package.INT8}
    return package.seal_again(folder, manifest.model_copy(update={"files": files}), [])


def clean_labels(folder: Path, manifest: Manifest) -> Manifest:
    """Normalise the labels of a verified package as in data sets, and seal it again if any changed.

    Returns the new manifest.

    Raises:
        PackageInvalid: a label is invalid, or two become the same.
    """
    names = package.read_config(folder).label_names
    try:
        cleaned = {name: clean_label(name) for name in names}
    except ValueError as error:
        raise PackageInvalid(f"{package.CONFIG} has an invalid label: {error}.") from error
    if len(set(cleaned.values())) != len(names):
        raise PackageInvalid(f"{package.CONFIG} has labels that differ only in spelling.")
    changed = {name: label for name, label in cleaned.items() if name != label}
    if not changed:
        return manifest
    rewritten = [name for name in (package.CONFIG, package.EVALUATION, package.EXAMPLES) if name in manifest.files]
    for name in rewritten:
        text = package.read_text(folder, name, package.MAX_EVALUATION_BYTES)
        (folder / name).write_text(json.dumps(_renamed(read_json(text), changed), ensure_ascii=False), "utf-8")
    return package.seal_again(folder, manifest, rewritten)


def _renamed(value: Any, labels: Mapping[str, str]) -> Any:
    """Return JSON with these labels replaced wherever they occur."""
    match value:
        case str():
            return labels.get(value, value)
        case list():
            return [_renamed(item, labels) for item in value]
        case dict():
            return {name: _renamed(member, labels) for name, member in value.items()}
    return value


def _read_examples(folder: Path, config: ModelConfig) -> list[Example]:
    examples = package.read_examples(folder)
    for example in examples:
        if len(example.probabilities) != config.num_classes or example.label not in config.label_names:
            raise PackageInvalid(f"{package.EXAMPLES}: {example.file} has other labels than {package.CONFIG}.")
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
