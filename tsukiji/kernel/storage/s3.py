"""Blobs as objects `<prefix>/<sha256>` in a bucket of any S3-compatible server; credentials from boto3's own chain.

An upload in parts is a multipart upload to `<prefix>/uploads/<id>`: the server stores and joins the parts, and copies
the result to its hash once that is known.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError

from tsukiji.errors import StorageFull, StorageUnavailable
from tsukiji.kernel.storage.blobs import (
    CHUNK_BYTES,
    Blob,
    BlobStore,
    Incoming,
    Source,
    Stored,
    check_joined,
    check_sha256,
    check_upload_id,
    digest_of,
    hours_since,
    is_sha256,
    missing,
    part_missing,
    pour,
    verify,
)
from tsukiji.kernel.storage.disk import disk_errors
from tsukiji.kernel.storage.pages import FOLDER, Pages

RENEWED_HOURS = 0.25
"""Older objects are marked as put again; shorter than the least age at which anything is deleted."""
SPOOL_BYTES = 8 * 2**20
ABSENT = {"404", "NoSuchKey"}
NO_UPLOAD = {"404", "NoSuchUpload", "InvalidPart"}
FULL = {"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}
TRANSFER = TransferConfig(multipart_threshold=SPOOL_BYTES, multipart_chunksize=SPOOL_BYTES, use_threads=False)
COPY = TransferConfig(multipart_threshold=2**27, multipart_chunksize=2**27, use_threads=False)
"""Server-side copies, in pieces that finish before a read times out."""


class S3Store(BlobStore):
    """Args: `endpoint_url` names a server other than AWS; it is addressed by path, as most of them require."""

    def __init__(self, bucket: str, prefix: str = "", *, endpoint_url: str | None = None) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        with s3_errors():
            self.client = connect(endpoint_url)

    def put(self, source: Source, known: Blob | None = None) -> Blob:
        with SpooledTemporaryFile(max_size=SPOOL_BYTES) as file:
            blob = pour(source, file, known)  # the key is the hash, so all bytes are read before the first is sent
            if not self._renew(blob):
                with disk_errors():
                    file.seek(0)
                with s3_errors():
                    self.client.upload_fileobj(file, self.bucket, self._key(blob.sha256), Config=TRANSFER)
        return blob

    def stream(self, sha256: str, chunk: int = CHUNK_BYTES) -> Iterator[bytes]:
        with s3_errors(sha256):
            body = self.client.get_object(Bucket=self.bucket, Key=self._key(sha256))["Body"]
            with body:
                yield from verify(sha256, body.iter_chunks(chunk))

    def exists(self, sha256: str) -> bool:
        return self._size(sha256) is not None

    def delete(self, sha256: str) -> None:
        with s3_errors():
            self.client.delete_object(Bucket=self.bucket, Key=self._key(sha256))

    def discard(self, sha256: str, hours: float) -> bool:
        found = self._head(self._key(sha256))
        if found and hours_since(found["LastModified"].timestamp()) < hours:
            return False
        self.delete(sha256)
        return True

    def walk(self) -> Iterator[Stored]:
        with s3_errors():
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
            for found in (found for page in pages for found in page.get("Contents", [])):
                sha256 = found["Key"].removeprefix(self.prefix)
                if is_sha256(sha256):
                    yield Stored(sha256, found["Size"], hours_since(found["LastModified"].timestamp()))

    def check(self) -> None:
        with s3_errors():
            self.client.head_bucket(Bucket=self.bucket)

    def begin(self, upload_id: str) -> Incoming:
        key = self._incoming_key(upload_id)
        with s3_errors():
            return Incoming(upload_id, self.client.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"])

    def put_part(self, incoming: Incoming, number: int, file: IO[bytes]) -> str:
        file.seek(0)
        with s3_errors(), _upload_errors(incoming):
            part = self.client.upload_part(**self._upload(incoming), PartNumber=number, Body=file)
        return str(part["ETag"])

    def join(self, incoming: Incoming, tags: Sequence[str], sha256: str | None) -> Blob:
        key = self._incoming_key(incoming.id)
        parts = {"Parts": [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]}
        if self._size_of(key) is None:  # otherwise joined by an earlier attempt
            with s3_errors(), _upload_errors(incoming):
                self.client.complete_multipart_upload(**self._upload(incoming), MultipartUpload=parts)
        with s3_errors():
            body = self.client.get_object(Bucket=self.bucket, Key=key)["Body"]
            with body:  # the server hashes parts, but never the whole
                blob = digest_of(body.iter_chunks(CHUNK_BYTES))
        check_joined(blob, sha256)
        if not self._renew(blob):
            with s3_errors():
                source = {"Bucket": self.bucket, "Key": key}
                self.client.copy(source, self.bucket, self._key(blob.sha256), Config=COPY)
        return blob

    def drop(self, incoming: Incoming) -> None:
        with s3_errors():
            try:
                self.client.abort_multipart_upload(**self._upload(incoming))
            except ClientError as error:
                if _code(error) not in NO_UPLOAD:
                    raise
            self.client.delete_object(Bucket=self.bucket, Key=self._incoming_key(incoming.id))

    def _upload(self, incoming: Incoming) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self._incoming_key(incoming.id), "UploadId": incoming.token}

    def _incoming_key(self, upload_id: str) -> str:
        check_upload_id(upload_id)
        return f"{self.prefix}uploads/{upload_id}"

    def _key(self, sha256: str) -> str:
        check_sha256(sha256)
        return self.prefix + sha256

    def _renew(self, blob: Blob) -> bool:
        """Return whether the object exists and is complete; renews an old one, so that it is not deleted."""
        key = self._key(blob.sha256)
        found = self._head(key)
        if found is None or found["ContentLength"] != blob.size:
            return False
        if hours_since(found["LastModified"].timestamp()) > RENEWED_HOURS:
            with s3_errors():
                source, metadata = {"Bucket": self.bucket, "Key": key}, {"MetadataDirective": "REPLACE"}
                self.client.copy(source, self.bucket, key, ExtraArgs=metadata, Config=COPY)
        return True

    def _size(self, sha256: str) -> int | None:
        return self._size_of(self._key(sha256))

    def _size_of(self, key: str) -> int | None:
        """Return the bytes of an object, or None if it does not exist."""
        found = self._head(key)
        return None if found is None else int(found["ContentLength"])

    def _head(self, key: str) -> dict[str, Any] | None:
        with s3_errors():
            try:
                found: dict[str, Any] = self.client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if _code(error) in ABSENT:
                    return None
                raise
            return found


class S3Pages(Pages):
    """Objects `<prefix>/backups/<name>` beside the blobs of a store."""

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._prefix = f"{store.prefix}{FOLDER}/"

    def write(self, name: str, content: bytes) -> None:
        with s3_errors():
            self._store.client.put_object(Bucket=self._store.bucket, Key=self._prefix + name, Body=content)

    def read(self, name: str) -> bytes:
        with s3_errors():
            body = self._store.client.get_object(Bucket=self._store.bucket, Key=self._prefix + name)["Body"]
            with body:
                return bytes(body.read())

    def delete(self, name: str) -> None:
        with s3_errors():
            self._store.client.delete_object(Bucket=self._store.bucket, Key=self._prefix + name)

    def names(self) -> list[str]:
        with s3_errors():
            lister = self._store.client.get_paginator("list_objects_v2")
            pages = lister.paginate(Bucket=self._store.bucket, Prefix=self._prefix)
            found = (one["Key"] for page in pages for one in page.get("Contents", []))
            return sorted(key.removeprefix(self._prefix) for key in found)


def connect(endpoint_url: str | None) -> Any:
    """Return a client of this server, or of AWS."""
    session = boto3.Session()  # creating the default session is not thread-safe
    return session.client("s3", endpoint_url=endpoint_url, config=_config(by_path=bool(endpoint_url)))


@contextmanager
def s3_errors(sha256: str | None = None) -> Iterator[None]:
    """Translate boto3's errors; a missing object becomes `BlobMissing` if `sha256` is given."""
    try:
        yield
    except ClientError as error:
        if sha256 and _code(error) in ABSENT:
            raise missing(sha256) from error
        if _code(error) in FULL:
            raise StorageFull(f"The bucket is full: {error}") from error
        raise StorageUnavailable(f"S3 error: {error}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise StorageUnavailable(f"The S3 server cannot be used: {error}") from error


@contextmanager
def _upload_errors(incoming: Incoming) -> Iterator[None]:
    """Translate the error of an unknown or incomplete multipart upload to `BlobMissing`."""
    try:
        yield
    except ClientError as error:
        if _code(error) in NO_UPLOAD:
            raise part_missing(incoming) from error
        raise


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _config(*, by_path: bool) -> Any:
    """Fail in seconds, not minutes. Optional checksums confuse other servers, and we verify our own."""
    return Config(
        connect_timeout=3,
        read_timeout=15,
        retries={"mode": "standard", "total_max_attempts": 2},
        s3={"addressing_style": "path"} if by_path else None,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
