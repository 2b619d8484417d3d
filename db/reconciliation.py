"""Comparison of the store with the rows: deletes bytes without a row, and reports rows without bytes.

Bytes are stored before the row that refers to them is written. If that row is refused, or the program dies, the bytes
have no row, and `blobs.sweep` never sees them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from sqlalchemy import select

from db import blobs
from db.models import Blob
from db.session import Database
from tsukiji.errors import BlobCorrupt, BlobMissing
from tsukiji.kernel.storage import BlobStore, Stored

LEAST_HOURS: Final = 1.0
"""Younger bytes are never deleted: a running request may be about to refer to them."""
PAGE: Final = 500
MOST: Final = 100_000
"""Most blobs to delete in one round; the rest follow in the next."""
FEW: Final = 1_000
"""Up to this many may be deleted even if they outnumber the known blobs."""


@dataclass
class Reconciliation:
    """What was found; numbers of blobs unless stated otherwise."""

    known: int = 0
    bytes: int = 0
    """Of the known blobs."""
    young: int = 0
    """Without a row, but too young to delete."""
    unknown: int = 0
    """Without a row, and old enough to delete."""
    unknown_bytes: int = 0
    discarded: int = 0
    refused: str | None = None
    """Why no unknown blobs were deleted despite the request."""
    missing: list[str] = field(default_factory=list)
    """Hashes in rows that are missing in the store."""
    altered: list[str] = field(default_factory=list)
    """Hashes whose stored size, or bytes, differ from the row."""

    @property
    def good(self) -> bool:
        return not (self.missing or self.altered or self.refused)


def reconcile(
    database: Database,
    store: BlobStore,
    hours: float,
    *,
    discard: bool = True,
    trusting: bool = False,
    read: bool = False,
) -> Iterator[Reconciliation]:
    """Yield cumulative findings after each page.

    Args:
        database: with the rows.
        store: used by this service alone: blobs of another service would look unreferenced.
        hours: more recent bytes are kept; at least `LEAST_HOURS`.
        discard: delete bytes without a row; otherwise only count them.
        trusting: delete them even if they are most of the store, which otherwise suggests the wrong database.
        read: also verify all hashes, which reads every byte.
    """
    found, hours = Reconciliation(), max(hours, LEAST_HOURS)
    garbage: list[str] = []
    for rows, stored in pages(database, store):
        garbage += _look(database, store, rows, stored, found, hours)
        if read:
            found.altered += [one for one in rows if one in stored and not _is_whole(store, one)]
        yield found
    if not discard or not garbage:
        return
    if not trusting and (not found.known or found.unknown > max(found.known, FEW)):
        numbers = f"The database knows {found.known:,} blobs of this store and does not know {found.unknown:,}"
        found.refused = f"{numbers}: is it the right one?"
        yield found
        return
    for start in range(0, min(len(garbage), MOST), PAGE):
        found.discarded += _discard(database, store, garbage[start : start + PAGE], hours)
        yield found


def pages(database: Database, store: BlobStore) -> Iterator[tuple[dict[str, int], dict[str, Stored]]]:
    """Yield rows (hash to size) and stored blobs of the same range of hashes, in order."""
    walk, after = store.walk(), ""
    while True:
        stored = {one.sha256: one for one in islice(walk, PAGE)}
        last = max(stored) if len(stored) == PAGE else None
        rows: dict[str, int] = {}
        while True:
            query = select(Blob.sha256, Blob.bytes).where(Blob.sha256 > max(after, *rows, ""))
            with database.reading() as session:
                page = session.execute(
                    (query.where(Blob.sha256 <= last) if last else query).order_by(Blob.sha256).limit(PAGE)
                )
                more = {row[0]: row[1] for row in page}
            rows |= more
            if len(more) < PAGE:
                break
        yield rows, stored
        if last is None:
            return
        after = last


def _look(
    database: Database,
    store: BlobStore,
    rows: dict[str, int],
    stored: dict[str, Stored],
    found: Reconciliation,
    hours: float,
) -> list[str]:
    """Count one range; returns what may be deleted."""
    garbage = []
    for one in stored.values():
        if one.sha256 in rows:
            found.known += 1
            found.bytes += one.size
            if one.size != rows[one.sha256]:
                found.altered.append(one.sha256)
        elif one.hours < hours:
            found.young += 1
        else:
            found.unknown += 1
            found.unknown_bytes += one.size
            garbage.append(one.sha256)
    for sha256 in rows.keys() - stored.keys():  # excludes blobs added after the listing, and rows deleted since
        if not store.exists(sha256) and _has_row(database, sha256):
            found.missing.append(sha256)
    return garbage


def _discard(database: Database, store: BlobStore, hashes: list[str], hours: float) -> int:
    """Delete what still has no row. The store keeps bytes that were stored again meanwhile."""
    with database.reading() as session:
        known = {sha256 for sha256, _ in blobs.sizes_of(session, hashes)}
    return sum(store.discard(sha256, hours) for sha256 in hashes if sha256 not in known)


def _has_row(database: Database, sha256: str) -> bool:
    with database.reading() as session:
        return blobs.is_kept(session, sha256)


def _is_whole(store: BlobStore, sha256: str) -> bool:
    try:
        for _ in store.stream(sha256):
            pass
    except BlobCorrupt:
        return False
    except BlobMissing:  # deleted meanwhile, or reported already
        return True
    return True
