"""What a safetensors file says it holds, read without torch: eight bytes of length, a JSON header, then the numbers."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tsukiji.errors import PackageInvalid
from tsukiji.json_input import read_json
from tsukiji.vision.package import ModelConfig

LENGTH_BYTES: Final = 8
HEADER_BYTES: Final = 100_000_000
"""The format's own limit."""
ITEM_BYTES: Final = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}
WEIGHT_TYPES: Final = frozenset({"F32", "I64"})
"""Numbers, and how many batches a normalisation has seen."""
FLOATS: Final = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
HEAD_MATRIX: Final = re.compile(r"head\.(\d+)\.weight")
PIECE: Final = 2**22
"""Numbers that are looked at in one go."""

Count = Annotated[int, Field(strict=True, ge=0)]


class Tensor(BaseModel):
    """One line of the header; offsets count from the end of it, in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: str
    shape: list[Count]
    data_offsets: tuple[Count, Count]


@dataclass(frozen=True)
class Header:
    tensors: dict[str, Tensor]
    start: int
    """Where the numbers begin, in bytes from the beginning of the file."""


def read_header(path: Path) -> Header:
    """Return what the file holds.

    Raises:
        PackageInvalid: it is no safetensors file, or its parts do not cover it exactly.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if size < LENGTH_BYTES or length > min(HEADER_BYTES, size - LENGTH_BYTES):
            raise PackageInvalid(f"{path.name} is no safetensors file: its header does not fit into it.")
        text = file.read(length)
    try:
        found = dict(read_json(text, unique=True))
        found.pop("__metadata__", None)
        tensors = TypeAdapter(dict[str, Tensor]).validate_python(found)
    except (ValueError, TypeError) as error:
        what = str(error).partition("\n")[0] if isinstance(error, ValidationError) else error
        raise PackageInvalid(f"{path.name} is no safetensors file: its header cannot be read ({what}).") from error
    start = LENGTH_BYTES + length
    _check_cover(path.name, tensors, size - start)
    return Header(tensors, start)


def check_fit(header: Header, config: ModelConfig, name: str) -> None:
    """Raise PackageInvalid unless the weights' names, shapes and types go with the configuration.

    Whether they are all of the architecture's is known to who builds it; what differs between two models of one
    architecture is the head, and that is compared here.
    """
    odd = sorted(tensor for tensor, facts in header.tensors.items() if facts.dtype not in WEIGHT_TYPES)
    if odd:
        raise PackageInvalid(f"{name} holds {odd[0]} as {header.tensors[odd[0]].dtype}; weights are F32.")
    matrices = {
        int(match[1]): facts.shape
        for tensor, facts in header.tensors.items()
        if (match := HEAD_MATRIX.fullmatch(tensor)) and len(facts.shape) == 2
    }
    if not matrices:
        raise PackageInvalid(f"{name} holds no head.")
    outputs = matrices[max(matrices)][0]
    if outputs != config.num_classes:
        raise PackageInvalid(f"{name} has {outputs} outputs, and the configuration names {config.num_classes} labels.")
    inputs = matrices[min(matrices)][1]
    if inputs != 2 * config.num_features:
        raise PackageInvalid(
            f"The head in {name} takes {inputs} features, and the body gives 2 x {config.num_features}."
        )


def check_finite(path: Path, header: Header) -> None:
    """Raise PackageInvalid if a weight is no number; needs numpy."""
    import numpy as np  # noqa: PLC0415 - a client that checks hashes alone has none

    for name, facts in header.tensors.items():
        if facts.dtype not in FLOATS or not math.prod(facts.shape):
            continue
        where = header.start + facts.data_offsets[0]
        values = np.memmap(path, FLOATS[facts.dtype], "r", offset=where, shape=(math.prod(facts.shape),))
        for begin in range(0, len(values), PIECE):
            if not np.isfinite(values[begin : begin + PIECE]).all():
                raise PackageInvalid(f"{path.name} holds values that are not numbers, in {name}.")


def _check_cover(name: str, tensors: dict[str, Tensor], size: int) -> None:
    """Raise unless the tensors lie one behind the other, each as long as its shape says, up to the end of the file."""
    end = 0
    for tensor, facts in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        first, last = facts.data_offsets
        if facts.dtype not in ITEM_BYTES:
            raise PackageInvalid(f"{name} holds {tensor} as {facts.dtype}, which is not known.")
        if first != end or last - first != ITEM_BYTES[facts.dtype] * math.prod(facts.shape):
            raise PackageInvalid(f"{name} is damaged: {tensor} is not where its header says, or not as long.")
        end = last
    if end != size:
        raise PackageInvalid(f"{name} is damaged: its header speaks of {end:,} bytes, and there are {size:,}.")
