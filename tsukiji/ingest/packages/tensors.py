"""Parses a safetensors file without torch: eight bytes of length, a JSON header, then the numbers."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tsukiji.errors import PackageInvalid
from tsukiji.json_input import read_json
from tsukiji.vision import package
from tsukiji.vision.package import ModelConfig
from tsukiji.vision.shapes import AXES, BANK_IMAGES, SCORES, architecture_of, dtype_of

LENGTH_BYTES: Final = 8
HEADER_BYTES: Final = 2**20
"""Ours have at most a twentieth of it."""
MOST_TENSORS: Final = 4096
MOST_DIMENSIONS: Final = 8
LARGEST: Final = 2**48
"""Of a dimension or an offset: products of a few are still cheap."""
ITEM_BYTES: Final = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}
FLOATS: Final = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
PIECE: Final = 2**20
"""Numbers checked at a time."""

Count = Annotated[int, Field(strict=True, ge=0, le=LARGEST)]


class Tensor(BaseModel):
    """One entry of the header; offsets count from its end, in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: str
    shape: Annotated[list[Count], Field(max_length=MOST_DIMENSIONS)]
    data_offsets: tuple[Count, Count]


TENSORS: Final = TypeAdapter(Annotated[dict[str, Tensor], Field(max_length=MOST_TENSORS)])


@dataclass(frozen=True)
class Header:
    tensors: dict[str, Tensor]
    start: int
    """Offset of the numbers in the file, in bytes."""


def read_header(path: Path) -> Header:
    """Return what the file holds.

    Raises:
        PackageInvalid: it is no safetensors file, or its parts do not cover it exactly.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if size < LENGTH_BYTES or length > size - LENGTH_BYTES:
            raise PackageInvalid(f"{path.name} is not a safetensors file: its header does not fit into it.")
        if length > HEADER_BYTES:
            raise PackageInvalid(f"{path.name} has a header of {length:,} bytes; at most {HEADER_BYTES:,} are read.")
        text = file.read(length)
    try:
        found = dict(read_json(text, unique=True))
        found.pop("__metadata__", None)
        tensors = TENSORS.validate_python(found)
    except (ValueError, TypeError) as error:
        what = package.first_error(error) if isinstance(error, ValidationError) else error
        raise PackageInvalid(f"{path.name} is not a safetensors file: its header cannot be read ({what}).") from error
    start = LENGTH_BYTES + length
    _check_cover(path.name, tensors, size - start)
    return Header(tensors, start)


def check_fit(header: Header, config: ModelConfig, name: str) -> None:
    """Raise PackageInvalid unless the tensors are exactly the architecture's, with the same shapes."""
    architecture = architecture_of(config.architecture)
    if config.num_features != architecture.num_features:
        raise PackageInvalid(
            f"The body of {config.architecture} gives {architecture.num_features} features; {package.CONFIG} says "
            f"{config.num_features}."
        )
    expected = architecture.weights(config.num_classes, config.head)
    if missing := sorted(expected.keys() - header.tensors.keys()):
        raise PackageInvalid(f"{name} lacks {missing[0]}, which {config.architecture} has; {len(missing)} are missing.")
    if surplus := sorted(header.tensors.keys() - expected.keys()):
        raise PackageInvalid(f"{name} holds {surplus[0][:80]!r}, which {config.architecture} does not have.")
    for tensor, shape in expected.items():
        found = header.tensors[tensor]
        if found.dtype != dtype_of(tensor):
            raise PackageInvalid(f"{name} holds {tensor} as {found.dtype[:20]}; it must be {dtype_of(tensor)}.")
        if found.shape != shape:
            raise PackageInvalid(
                f"{name} holds {tensor} of shape {found.shape}; {config.architecture} with {config.num_classes} labels "
                f"has {shape}."
            )


def check_known(header: Header, config: ModelConfig, name: str) -> None:
    """Raise PackageInvalid unless these are statistics for such a network (`out_of_distribution.save`)."""
    architecture = architecture_of(config.architecture)
    width = architecture.num_middle + architecture.num_features
    most = {"scales": 1, "means": config.num_classes, "axes": AXES}
    if "bank" in header.tensors:
        most = {"bank": BANK_IMAGES}
    shapes = {tensor: facts.shape for tensor, facts in header.tensors.items()}
    fits = shapes.keys() == most.keys() | {"held_out"} and _is_within(shapes.pop("held_out"), SCORES)
    fits = fits and all(_is_within(shape, most[tensor], width) for tensor, shape in shapes.items())
    if not fits or any(facts.dtype not in FLOATS for facts in header.tensors.values()):
        parts = ", ".join(f"`{tensor}`, up to {rows:,} x {width} numbers" for tensor, rows in most.items())
        raise PackageInvalid(
            f"{name} does not fit {config.architecture}: it holds {parts}, and `held_out`, up to {SCORES:,}."
        )


def _is_within(shape: list[int], most: int, *rest: int) -> bool:
    """Return whether the shape is `1 <= n <= most`, followed by `rest`."""
    return len(shape) == 1 + len(rest) and 1 <= shape[0] <= most and tuple(shape[1:]) == rest


def check_finite(path: Path, header: Header) -> None:
    """Raise PackageInvalid if a weight is not finite; needs numpy."""
    import numpy as np  # noqa: PLC0415 - missing in a client that only checks hashes

    with path.open("rb") as file:
        for name, facts in header.tensors.items():
            if facts.dtype not in FLOATS:
                continue
            file.seek(header.start + facts.data_offsets[0])
            left = math.prod(facts.shape)
            while left:
                values = np.fromfile(file, FLOATS[facts.dtype], min(left, PIECE))
                left -= len(values)
                if not len(values) or not np.isfinite(values).all():
                    raise PackageInvalid(f"{path.name} contains values that are not numbers, in {name}.")


def _check_cover(name: str, tensors: dict[str, Tensor], size: int) -> None:
    """Raise unless the tensors follow each other without gaps, each as long as its shape, up to the end of the file."""
    end = 0
    for tensor, facts in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        first, last = facts.data_offsets
        if facts.dtype not in ITEM_BYTES:
            raise PackageInvalid(f"{name} holds {tensor} as {facts.dtype}, which is not supported.")
        if first != end or last - first != ITEM_BYTES[facts.dtype] * math.prod(facts.shape):
            raise PackageInvalid(f"{name} is damaged: {tensor} is not where its header says, or not as long.")
        end = last
    if end != size:
        raise PackageInvalid(f"{name} is damaged: its header declares {end:,} bytes; it has {size:,}.")
