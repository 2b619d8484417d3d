"""Blobs as objects `<prefix>/<sha256>` in a bucket of any S3-compatible server; credentials by boto3's own chain."""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError

from tsukiji.errors import StorageFull, StorageUnavailable
from tsukiji.storage.blobs import CHUNK_BYTES, Blob, BlobStore, Source, check_sha256, missing, pour, verify
from tsukiji.storage.disk import disk_errors

SPOOL_BYTES = 8 * 2**20
ABSENT = {"404", "NoSuchKey"}
FULL = {"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}
TRANSFER = TransferConfig(multipart_threshold=SPOOL_BYTES, multipart_chunksize=SPOOL_BYTES, use_threads=False)


class S3Store(BlobStore):
    """Args: `endpoint_url` names a server other than AWS; it is addressed by path, as most of them need."""

    def __init__(self, bucket: str, prefix: str = "", *, endpoint_url: str | None = None) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        with s3_errors():
            session = boto3.Session()  # the module's own session may not be made by two threads at once
            self._client = session.client("s3", endpoint_url=endpoint_url, config=_config(by_path=bool(endpoint_url)))

    def put(self, source: Source) -> Blob:
        with SpooledTemporaryFile(max_size=SPOOL_BYTES) as file:
            blob = pour(source, file)  # the key is the hash, so all bytes come by before the first is sent
            if self._size(blob.sha256) != blob.size:
                with disk_errors():
                    file.seek(0)
                with s3_errors():
                    self._client.upload_fileobj(file, self.bucket, self._key(blob.sha256), Config=TRANSFER)
        return blob

    def stream(self, sha256: str, chunk: int = CHUNK_BYTES) -> Iterator[bytes]:
        with s3_errors(sha256):
            body = self._client.get_object(Bucket=self.bucket, Key=self._key(sha256))["Body"]
            with body:
                yield from verify(sha256, body.iter_chunks(chunk))

    def exists(self, sha256: str) -> bool:
        return self._size(sha256) is not None

    def delete(self, sha256: str) -> None:
        with s3_errors():
            self._client.delete_object(Bucket=self.bucket, Key=self._key(sha256))

    def check(self) -> None:
        with s3_errors():
            self._client.head_bucket(Bucket=self.bucket)

    def _key(self, sha256: str) -> str:
        check_sha256(sha256)
        return self.prefix + sha256

    def _size(self, sha256: str) -> int | None:
        """Return the bytes of an object, or nothing where there is none."""
        key = self._key(sha256)
        with s3_errors():
            try:
                return int(self._client.head_object(Bucket=self.bucket, Key=key)["ContentLength"])
            except ClientError as error:
                if _code(error) in ABSENT:
                    return None
                raise


@contextmanager
def s3_errors(sha256: str | None = None) -> Iterator[None]:
    """Turn boto3's errors into ours; a missing object becomes `BlobMissing` where `sha256` says what was asked for."""
    try:
        yield
    except ClientError as error:
        if sha256 and _code(error) in ABSENT:
            raise missing(sha256) from error
        if _code(error) in FULL:
            raise StorageFull(f"The bucket has no room: {error}") from error
        raise StorageUnavailable(f"The S3 server refused: {error}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise StorageUnavailable(f"The S3 server cannot be used: {error}") from error


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _config(*, by_path: bool) -> Any:
    """Fail in seconds, not minutes. Checksums beyond what S3 asks for confuse other servers, and we verify our own."""
    return Config(
        connect_timeout=3,
        read_timeout=15,
        retries={"mode": "standard", "total_max_attempts": 2},
        s3={"addressing_style": "path"} if by_path else None,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
