"""Errors of the store, the broker and the database."""

from tsukiji.errors.base import TsukijiError


class BlobMissing(TsukijiError):
    code = "blob_missing"
    title = "Stored bytes are missing from the store"
    hint = "Send the picture again, or restore the store from a backup."


class BlobCorrupt(TsukijiError):
    code = "blob_corrupt"
    title = "Stored bytes do not match their hash"
    hint = "Check the disk; then send the picture again, which replaces the bytes, or restore the store from a backup."


class StorageFull(TsukijiError):
    code = "storage_full"
    title = "The store is full"
    hint = "Free some space or move the store, then try again."
    retriable = True
    outage = True


class StorageUnavailable(TsukijiError):
    code = "storage_unavailable"
    title = "The store cannot be reached"
    hint = "Bring it back, or wait: accepted work is not lost, and continues once the store answers."
    retriable = True
    outage = True


class BrokerUnavailable(TsukijiError):
    code = "broker_unavailable"
    title = "The message broker cannot be reached"
    hint = "Accepted work is not lost, and starts once the broker is back."
    retriable = True


class DatabaseAway(TsukijiError):
    code = "database_unavailable"
    title = "The database does not answer"
    hint = "Try again shortly."
    retriable = True
    outage = True
