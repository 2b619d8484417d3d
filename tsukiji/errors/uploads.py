"""Errors of uploads in parts."""

from tsukiji.errors.requests import Conflict, Invalid, QueueFull


class UploadIncomplete(Conflict):
    code = "upload_incomplete"
    title = "Parts of the upload are missing"
    hint = "GET /v1/uploads/{upload} lists the confirmed parts; send the others, then complete the upload."


class UploadClosed(Conflict):
    code = "upload_closed"
    title = "The upload is complete and accepts no more parts"
    hint = "Use it as it is, or start another upload."


class DigestMismatch(Invalid):
    code = "digest_mismatch"
    title = "The bytes do not match the given hash"
    hint = "Send them again. If they still do not match, compute the hash again: the file may have changed."


class PartOutOfRange(Invalid):
    code = "part_out_of_range"
    title = "The upload has no part with this number"
    hint = "Parts are numbered from 1 to `parts_total`; GET /v1/uploads/{upload} shows it."


class PartSizeWrong(Invalid):
    code = "part_size_wrong"
    title = "The part has the wrong size"
    hint = "Every part has `part_bytes` bytes, except the last, which has the rest."


class TooManyUploads(QueueFull):
    code = "too_many_uploads"
    title = "Too many unfinished uploads"
    hint = "Complete or delete some; GET /v1/uploads lists them."
