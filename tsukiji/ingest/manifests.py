"""A manifest: a line of JSON for each image of a batch. Read as a stream; a bad line affects only itself."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from tsukiji.errors import CustomIdDuplicate, ManifestLineInvalid, TsukijiError
from tsukiji.types import ManifestLine

LINE_BYTES: Final = 64 * 1024
BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """One non-empty line: its request, or its error. `number` counts from 1."""

    number: int
    custom_id: str
    request: ManifestLine | None
    error: TsukijiError | None


def read_lines(pieces: Iterable[bytes]) -> Iterator[Line]:
    """Yield the lines of a manifest given in pieces; a repeated `custom_id` is refused."""
    first: dict[str, int] = {}
    for number, raw in enumerate(_split(pieces), 1):
        if not raw.strip():
            continue
        line = _read(number, raw)
        before = first.setdefault(line.custom_id, number)
        if line.request is not None and before != number:
            error = CustomIdDuplicate(
                f"Line {number}: {line.custom_id!r} is the custom_id of line {before} already.",
                line=number,
                first_line=before,
            )
            line = Line(number, f"line {number}", None, error)
        yield line


def _read(number: int, raw: bytes) -> Line:
    if len(raw) > LINE_BYTES:
        return _refused(number, f"a line has at most {LINE_BYTES:,} bytes")
    try:
        request = ManifestLine.model_validate_json(raw.removeprefix(BOM) if number == 1 else raw)
    except ValidationError as error:
        found = [": ".join([*map(str, one["loc"]), one["msg"]]) for one in error.errors(include_url=False)]
        return _refused(number, "; ".join(found[:3]))
    return Line(number, request.custom_id or request.image, request, None)


def _refused(number: int, why: str) -> Line:
    return Line(number, f"line {number}", None, ManifestLineInvalid(f"Line {number}: {why}.", line=number))


def _split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield each line; of one that is too long only its beginning, one byte more than allowed."""
    rest = b""
    for piece in pieces:
        *whole, rest_of_piece = piece.split(b"\n")
        for end in whole:
            yield (rest + end)[: LINE_BYTES + 1]
            rest = b""
        rest = (rest + rest_of_piece)[: LINE_BYTES + 1]
    yield rest
