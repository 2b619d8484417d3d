"""The picture of an item: in the store, at its address, or in the list."""

from db.items import Item
from db.parts.item_lists import STORED, ListedItem, items_of
from db.parts.reading import Found
from tsukiji.errors import BlobCorrupt, ImageTooManyBytes
from tsukiji.ingest.archives.entries import check_plain
from tsukiji.ingest.sources import Sources
from tsukiji.kernel.storage import BlobStore
from tsukiji.kernel.storage.blobs import digest_of


def read_listed(store: BlobStore, sources: Sources, listed: ListedItem, largest: int) -> bytes:
    """Return the bytes of an item's picture.

    Raises:
        BlobMissing, BlobCorrupt, ImageTooManyBytes, ArchiveError, SourceError
    """
    if listed.content is not None:
        return listed.content
    image = listed.image or ""
    if image.startswith(STORED):
        return store.read(image.removeprefix(STORED))
    data = sources.open(image).read(largest)
    if len(data) > largest:
        raise ImageTooManyBytes(f"More than {largest:,} bytes.")
    check_plain(listed.item.custom_id, data)
    return data


def read_found(store: BlobStore, sources: Sources, found: Found, largest: int) -> bytes:
    """Return the picture that a result is of.

    Raises:
        BlobMissing: it is no longer there.
        BlobCorrupt: it has been changed since it was classified.
        SourceError, ImageTooManyBytes, ArchiveError
    """
    if found.chunk.items_sha256 is None:  # classified on a cluster, which lists for itself
        listed = ListedItem(Item(found.row.seq, found.row.custom_id), found.image, 0, None)
    else:
        (listed,) = items_of(store, found.chunk, content=found.image is None, seq=found.row.seq)
    data = read_listed(store, sources, listed, largest)
    if digest_of([data]).sha256 != found.row.sha256:
        hint = "Classify it again."
        raise BlobCorrupt(f"{found.row.custom_id} has been changed since it was classified.", hint=hint)
    return data
