"""Blobs: bytes named by their sha256, stored in a folder or an S3 bucket. Knows no rows and no pictures."""

from pathlib import Path

from tsukiji.errors import Invalid
from tsukiji.kernel.settings import Settings
from tsukiji.kernel.storage.blobs import Blob, BlobStore, Incoming, Source, Stored
from tsukiji.kernel.storage.local import LocalStore
from tsukiji.kernel.storage.pages import LocalPages, Pages

__all__ = ["Blob", "BlobStore", "Incoming", "Pages", "Source", "Stored", "open_pages", "open_store"]


def open_store(settings: Settings) -> BlobStore:
    """Return the store at `settings.storage_url`: `file:///path` or `s3://bucket/prefix`.

    Raises:
        Invalid: the URL names no supported store, or one whose library is not installed.
    """
    scheme, _, place = settings.storage_url.partition("://")
    if scheme == "file" and place:
        return LocalStore(Path(place))
    bucket, _, prefix = place.partition("/")
    if scheme == "s3" and bucket:
        return _open_s3(bucket, prefix, settings.storage.endpoint_url)
    raise Invalid(
        f"{settings.storage_url!r} is not a store.",
        hint="Set TSUKIJI_STORAGE_URL to file:///path or s3://bucket/prefix.",
    )


def _open_s3(bucket: str, prefix: str, endpoint_url: str | None) -> BlobStore:
    try:
        from tsukiji.kernel.storage.s3 import S3Store  # noqa: PLC0415 - boto3 is an optional extra, and slow to import
    except ModuleNotFoundError as error:
        raise Invalid("S3 storage needs boto3.", hint="In the checkout: pip install '.[s3]'.") from error
    return S3Store(bucket, prefix, endpoint_url=endpoint_url)


def open_pages(store: BlobStore) -> Pages:
    """Return the named texts beside the blobs of a store that `open_store` returned."""
    if isinstance(store, LocalStore):
        return LocalPages(store.root)
    from tsukiji.kernel.storage.s3 import S3Pages, S3Store  # noqa: PLC0415 - boto3 is an optional extra, as above

    assert isinstance(store, S3Store)
    return S3Pages(store)
