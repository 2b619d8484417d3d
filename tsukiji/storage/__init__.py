"""Blobs: bytes named by their sha256, kept in a folder or in an S3 bucket. Knows no rows and no pictures."""

from importlib import import_module
from pathlib import Path
from typing import Any

from tsukiji.errors import Invalid
from tsukiji.settings import Settings
from tsukiji.storage.blobs import Blob, BlobStore, Incoming, Source, Stored
from tsukiji.storage.local import LocalStore

__all__ = ["Blob", "BlobStore", "Incoming", "Source", "Stored", "open_store"]


def open_store(settings: Settings) -> BlobStore:
    """Return the store that `settings.storage_url` names: `file:///path` or `s3://bucket/prefix`.

    Raises:
        Invalid: the URL names no store that we know, or one whose library is not installed.
    """
    scheme, _, place = settings.storage_url.partition("://")
    if scheme == "file" and place:
        return LocalStore(Path(place))
    bucket, _, prefix = place.partition("/")
    if scheme == "s3" and bucket:
        store: BlobStore = _s3().S3Store(bucket, prefix, endpoint_url=settings.storage.endpoint_url)
        return store
    raise Invalid(
        f"{settings.storage_url!r} names no store.",
        hint="Set TSUKIJI_STORAGE_URL to file:///path or s3://bucket/prefix.",
    )


def _s3() -> Any:
    """boto3 is an extra and slow to import, so it is loaded only where it is used."""
    try:
        return import_module("tsukiji.storage.s3")
    except ModuleNotFoundError as error:
        raise Invalid("S3 storage needs boto3.", hint="In the checkout: pip install '.[s3]'.") from error
