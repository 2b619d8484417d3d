"""A prefix in S3, or one object. Keys are taken literally."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from tsukiji.errors import SourceMissing, SourceUnreadable
from tsukiji.ingest.archives import Entry
from tsukiji.ingest.sources.source import Source, fault
from tsukiji.kernel.storage.s3 import connect, s3_errors

__all__ = ["BucketSource", "connect"]

ABSENT = {"404", "NoSuchKey", "NoSuchBucket"}
DENIED = {"403", "AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch"}


@dataclass(frozen=True)
class BucketSource(Source):
    client: Any
    bucket: str
    key: str
    """Without leading and trailing slashes; empty for the whole bucket."""

    def entries(self, max_bytes: int, after: str | None = None) -> Iterator[Entry]:
        prefix = f"{self.key}/" if self.key else ""
        start = {} if after is None else {"StartAfter": prefix + after}
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, **start)
        with self._errors():
            for page in pages:
                for found in page.get("Contents", []):
                    name = found["Key"].removeprefix(prefix)
                    if not name.endswith("/"):  # consoles' marker of an empty folder
                        shown, error = fault(name, found["Size"], max_bytes, plain=True)
                        read = partial(self._read, found["Key"], max_bytes)
                        yield Entry(shown, error, read, None, name, found["Size"])

    def read(self, max_bytes: int) -> bytes:
        return self._read(self.key, max_bytes)

    def _read(self, key: str, max_bytes: int) -> bytes:
        with self._errors(), self.client.get_object(Bucket=self.bucket, Key=key)["Body"] as body:
            data: bytes = body.read(max_bytes + 1)
            return data

    @contextmanager
    def _errors(self) -> Iterator[None]:
        place = f"s3://{self.bucket}/{self.key}"
        with s3_errors():
            try:
                yield
            except ClientError as error:
                code = str(error.response["Error"]["Code"])
                if code in ABSENT:
                    raise SourceMissing(f"{place} does not exist.") from error
                if code in DENIED:
                    raise SourceUnreadable(f"{place} may not be read: {code}.") from error
                raise
