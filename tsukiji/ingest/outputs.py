"""Allowed destinations of results: folders of the machines of workers, and prefixes in S3. Files are written whole."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from tsukiji.errors import BlobMissing, Invalid, OutputNotAllowed, SourceNotAllowed
from tsukiji.ingest.sources import find_allowed, join_url, split
from tsukiji.kernel.settings import Settings
from tsukiji.kernel.storage.disk import disk_errors, draft, publish


class Output(Protocol):
    """A folder or prefix. Its methods raise `StorageUnavailable` if it is unreachable, `StorageFull` if it is full."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a file; readers see all of it or nothing, and after this returns it survives a crash."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            BlobMissing
        """

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Yield the files that are directly in it."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a file, if it exists."""


class Outputs:
    """Destinations allowed by `TSUKIJI_OUTPUTS_ALLOWED`. S3 settings are the store's."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def open(self, url: str) -> Output:
        """Return the folder or prefix at `url`; nothing is written yet.

        Raises:
            OutputNotAllowed: no allowed destination contains it.
        """
        root = check_allowed(self._settings, url)
        scheme, place = split(url)
        if scheme == "file":
            return FolderOutput(Path(split(root)[1]), Path(place))
        bucket, _, prefix = place.partition("/")
        return BucketOutput(self._connect, bucket, prefix.strip("/"))

    @cached_property
    def _client(self) -> Any:
        try:
            from tsukiji.kernel.storage.s3 import connect  # noqa: PLC0415 - boto3 is an optional extra, and slow to import
        except ModuleNotFoundError as error:
            raise Invalid("S3 needs boto3.", hint="In the checkout: pip install '.[s3]'.") from error
        return connect(self._settings.storage.endpoint_url)

    def _connect(self) -> Any:
        return self._client


def check_allowed(settings: Settings, url: str) -> str:
    """Return the allowed destination that contains `url`.

    Raises:
        OutputNotAllowed
    """
    try:
        return find_allowed(url, settings.outputs.allowed)
    except SourceNotAllowed as error:
        raise OutputNotAllowed(error.detail) from error


def folder_of(url: str, job_id: str) -> str:
    """Return where a batch's parts are below its destination: as in Hive, a value of the column `batch`."""
    return join_url(url, f"batch={job_id}")


@dataclass(frozen=True)
class FolderOutput(Output):
    """Args: `root` is the allowed folder, which may itself be a link; `folder` is in it."""

    root: Path
    folder: Path

    def write(self, name: str, data: bytes) -> None:
        target = self._path(name)
        with draft(target.parent) as file:
            with disk_errors():
                file.write(data)
            publish(file, target)

    def read(self, name: str) -> bytes:
        with disk_errors():
            try:
                return self._path(name).read_bytes()
            except FileNotFoundError as error:
                raise BlobMissing(f"{self.folder / name} is no longer there.") from error

    def names(self) -> Iterator[str]:
        with disk_errors():
            if self.folder.is_dir():
                yield from (path.name for path in self._path("").iterdir() if path.is_file())

    def delete(self, name: str) -> None:
        with disk_errors():
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        """Return a path that is really in the allowed folder: links in it may lead elsewhere.

        Raises:
            OutputNotAllowed
        """
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise OutputNotAllowed(f"A link leads from {self.folder} out of the allowed folder.")
        return path


@dataclass(frozen=True)
class BucketOutput(Output):
    """Args: `prefix` has no slashes at its ends."""

    connect: Callable[[], Any]
    bucket: str
    prefix: str

    def write(self, name: str, data: bytes) -> None:
        with self._errors():
            self.connect().put_object(Bucket=self.bucket, Key=self._key(name), Body=data)

    def read(self, name: str) -> bytes:
        with self._errors(), self.connect().get_object(Bucket=self.bucket, Key=self._key(name))["Body"] as body:
            data: bytes = body.read()
            return data

    def names(self) -> Iterator[str]:
        pages = self.connect().get_paginator("list_objects_v2")
        with self._errors():
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._key(""), Delimiter="/"):
                yield from (found["Key"].removeprefix(self._key("")) for found in page.get("Contents", []))

    def delete(self, name: str) -> None:
        with self._errors():
            self.connect().delete_object(Bucket=self.bucket, Key=self._key(name))

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from tsukiji.kernel.storage.s3 import s3_errors  # noqa: PLC0415 - boto3 is an optional extra

        with s3_errors(f"s3://{self.bucket}/{self.prefix}"):
            yield
