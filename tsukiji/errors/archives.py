"""Errors of one archive, or of one entry of it."""

from tsukiji.errors.base import TsukijiError


class ArchiveError(TsukijiError):
    code = "archive_error"
    title = "The archive cannot be used"


class ArchiveUnreadable(ArchiveError):
    code = "archive_unreadable"
    title = "The file is not a readable archive"
    hint = "Send a complete zip, tar or tar.gz."


class ArchiveTooLarge(ArchiveError):
    code = "archive_too_large"
    title = "The archive is larger than allowed"
    hint = "Split it; GET /v1/limits shows the limits."


class ArchiveTooManyEntries(ArchiveError):
    code = "archive_too_many_entries"
    title = "The archive contains more files than allowed"
    hint = "Split it; GET /v1/limits shows the limits."


class EntryUnsafePath(ArchiveError):
    code = "unsafe_path"
    title = "The entry's path leads outside the archive, or it is not a regular file"
    hint = "Pack regular files with relative paths and no `..`."


class EntryNested(ArchiveError):
    code = "nested_archive"
    title = "An archive inside an archive is not unpacked"
    hint = "Unpack it and send its pictures."


class EntryEncrypted(ArchiveError):
    code = "encrypted_entry"
    title = "The entry is encrypted"
    hint = "Pack it without a password."


class EntryTooLarge(ArchiveError):
    code = "entry_too_large"
    title = "The entry is larger than allowed, or larger than it declares"
    hint = "GET /v1/limits shows the limits; leave the file out, or scale it down."


class EntryDuplicate(ArchiveError):
    code = "duplicate_entry"
    title = "The archive contains this name twice"
    hint = "The first one was used; rename the other."


class EntryIgnored(ArchiveError):
    code = "ignored_entry"
    title = "A file that the operating system left behind, not a picture"
    hint = "Nothing to do; it is not counted."


class EntryUnreadable(ArchiveError):
    code = "unreadable_entry"
    title = "The entry is damaged, or its compression method is not supported"
    hint = "Create the archive again with ordinary (deflate) compression."
