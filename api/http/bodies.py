"""Bodies other than JSON: forms with files, and archives, which are streamed to a file. Knows no rows."""

import itertools
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Self, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException

from api.http.errors import invalid_field, validated
from api.services import Services
from tsukiji.errors import ArchiveUnreadable, BatchTooLarge, Invalid, TooLarge, UnsupportedMediaType
from tsukiji.ingest.archives import HEAD_BYTES, begins_archive, is_archive
from tsukiji.json_input import read_json
from tsukiji.kernel.storage import Blob
from tsukiji.kernel.storage.disk import disk_errors

Model = TypeVar("Model", bound=BaseModel)

FIELD_BYTES = 64 * 1024
COPY_BYTES = 2**20
MANIFESTS = {"application/jsonl", "application/x-ndjson"}
ARCHIVES = {"application/zip", "application/x-tar", "application/gzip"}
TABLES = {"text/csv": ".csv", "application/jsonl": ".jsonl", "application/x-ndjson": ".jsonl"}
"""Media types of tables of an import, and their file extensions."""
NAME_CHARACTERS = 1000
UTF_8 = {"utf-8", "utf8", "us-ascii"}


@dataclass(frozen=True)
class Form:
    files: list[UploadFile]
    fields: dict[str, list[str]]

    def one(self, name: str) -> str | None:
        """Return a field's only value.

        Raises:
            Invalid: it was sent more than once.
        """
        values = self.fields.get(name, [])
        if len(values) > 1:
            raise invalid_field(f"#/{name}", "send this field only once")
        return values[0] if values else None


@asynccontextmanager
async def read_form(request: Request, max_files: int, fields: set[str], part: str = "files") -> AsyncIterator[Form]:
    """Read a multipart form whose files are all named `part`; its temporary files are deleted after the block.

    Raises:
        UnsupportedMediaType, TooLarge, Invalid: it is no form, too large, or has unknown fields.
    """
    if media_type(request) != "multipart/form-data":
        raise UnsupportedMediaType(f"Send multipart/form-data, with the files as `{part}`.")
    check_charset(request)
    try:
        async with request.form(max_files=max_files, max_fields=3 * max_files + 20, max_part_size=FIELD_BYTES) as form:
            yield sort_parts(form, fields, part)
    except HTTPException as error:
        if error.status_code != 400:
            raise
        too_many = "Too many" in error.detail or "exceeded maximum" in error.detail
        raise (TooLarge if too_many else Invalid)(f"{error.detail}") from error


def sort_parts(form: FormData, known: set[str], part: str) -> Form:
    files: list[UploadFile] = []
    fields: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name != part:
                raise invalid_field(f"#/{name}", f"send files as `{part}`")
            files.append(value)
        elif name in known and "\0" in value:
            raise invalid_field(f"#/{name}", "it contains a NUL character")
        elif name in known:
            fields.setdefault(name, []).append(value)
        else:
            raise invalid_field(f"#/{name}", f"unknown field; the known ones are {', '.join(sorted(known))}")
    if not files:
        hint = f"Send at least one part named `{part}` with a file name."
        raise invalid_field(f"#/{part}", "no file was sent", hint)
    return Form(files, fields)


def file_name(upload: UploadFile, number: int) -> str:
    """Return the file name without control characters, or a number if there is none."""
    name = "".join(char for char in upload.filename or "" if char >= " ")
    return name[-NAME_CHARACTERS:] or f"file-{number}"


def read_file(upload: UploadFile, max_bytes: int) -> bytes:
    """Return the file's bytes, at most one more than allowed, so that the caller can tell that it is too large."""
    upload.file.seek(0)
    return upload.file.read(max_bytes + 1)


@dataclass(frozen=True)
class RawBody:
    """A body whose first bytes were read to find its kind; the rest is a stream."""

    kind: str
    """Its media type, by the header."""
    head: bytes
    rest: AsyncIterator[bytes]

    @classmethod
    async def begin(cls, request: Request) -> Self:
        head, rest = b"", aiter(request.stream())
        while len(head) < HEAD_BYTES and (piece := await anext(rest, None)) is not None:
            head += piece
        return cls(media_type(request), head, rest)

    @property
    def is_archive(self) -> bool:
        """Return whether its header or its first bytes say so: Windows, browsers and curl send other types, or none."""
        return self.kind in ARCHIVES or begins_archive(self.head)

    async def pieces(self) -> AsyncIterator[bytes]:
        yield self.head
        async for piece in self.rest:
            yield piece

    async def save(self, file: IO[bytes]) -> None:
        """Write it to a file as it arrives; a slow network holds no thread."""
        async for piece in self.pieces():
            if piece:
                await run_in_threadpool(write, file, piece)


def write(file: IO[bytes], piece: bytes) -> None:
    with disk_errors():
        file.write(piece)


def unknown_type(kind: str, known: Iterable[str]) -> UnsupportedMediaType:
    said = repr(kind) if kind else "A body without a content type"
    return UnsupportedMediaType(f"{said}, and the bytes are not a zip or tar: send one of {', '.join(known)}.")


async def receive_archive(body: RawBody, services: Services) -> Blob:
    """Return the blob of a zip or tar.

    Raises:
        ArchiveUnreadable: it is neither.
    """
    with spool(services) as file:
        await body.save(file)
        return await run_in_threadpool(keep_archive, services, file)


async def receive_manifest(body: RawBody, services: Services) -> Blob:
    """Return the blob of a manifest; a line beyond the limit ends the upload.

    Raises:
        BatchTooLarge
    """
    allowed, lines = services.settings.limits.batch_items, 0
    with spool(services) as file:
        async for piece in body.pieces():
            lines += piece.count(b"\n")
            if lines > allowed:
                raise BatchTooLarge(f"The manifest has more than {allowed:,} lines, the limit of a batch.")
            if piece:
                await run_in_threadpool(write, file, piece)
        return await run_in_threadpool(keep_spooled, services, file)


async def receive_table(body: RawBody, services: Services) -> Blob:
    """Return the blob of a table."""
    with spool(services) as file:
        await body.save(file)
        return await run_in_threadpool(keep_spooled, services, file)


@contextmanager
def spool(services: Services) -> Iterator[IO[bytes]]:
    """Open an unnamed temporary file on the data folder's disk."""
    folder = services.settings.cache_dir / "uploads"
    with disk_errors():
        folder.mkdir(parents=True, exist_ok=True)
    with disk_errors(), tempfile.TemporaryFile(dir=folder) as file:
        yield file


def keep_archive(services: Services, file: IO[bytes]) -> Blob:
    with disk_errors():
        file.flush()
    if not is_archive(file):
        raise ArchiveUnreadable
    return keep_spooled(services, file)


def keep_spooled(services: Services, file: IO[bytes]) -> Blob:
    with disk_errors():
        file.seek(0)
    return services.store.put(iter(partial(file.read, COPY_BYTES), b""))


async def validated_json(model: type[Model], request: Request) -> Model:
    """Read a JSON body of a route that accepts other kinds too.

    Raises:
        RequestValidationError: it is no JSON, or does not fit the model.
    """
    try:
        found = json_of(await request.body())
    except ValueError as error:
        line = {"type": "json_invalid", "loc": ("body", 0), "msg": f"Invalid JSON: {error}"}
        raise RequestValidationError([line]) from error
    return validated(model, found, "body", {})


def json_of(body: bytes) -> Any:
    """Return the value of a JSON body without NUL characters, which databases refuse.

    Raises:
        ValueError: it is no JSON.
        HTTPException: it contains a NUL.
    """
    found = read_json(body)
    if b"\\u0000" in body and any("\0" in text for text in texts_of(found)):
        raise HTTPException(422, "A text contains a NUL character.")
    return found


def texts_of(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            yield from itertools.chain.from_iterable(map(texts_of, value))
        case dict():
            yield from value
            yield from texts_of([*value.values()])


def announced_bytes(headers: Headers) -> int | None:
    """Return Content-Length if it is a number, cut to 18 digits."""
    length = headers.get("content-length", "")
    return int(length[:18]) if length.isascii() and length.isdecimal() else None


def check_charset(request: Request) -> None:
    """Refuse a form in a charset other than UTF-8: some of Python's codecs yield text that cannot be stored.

    Raises:
        UnsupportedMediaType
    """
    _, options = parse_options_header(request.headers.get("content-type", ""))
    charset = options.get(b"charset", b"utf-8").decode("latin-1").lower()
    if charset not in UTF_8:
        raise UnsupportedMediaType(f"The charset {charset[:50]!r}: send UTF-8.")


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
