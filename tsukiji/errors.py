"""Every error of the service. Knows no HTTP: the status codes are in `api/http/errors.py`.

TsukijiError
├── NotFound, Conflict (JobNotDone), Invalid, Unauthorized, Forbidden, TooLarge, UnsupportedMediaType, QueueFull
│   ├── SampleUnavailable
│   ├── UploadIncomplete, UploadClosed     conflicts of an upload in parts
│   ├── RevisionUndone, ChangedSince       conflicts of an undo
│   ├── CropOutside, LabelsUnknown, KindMismatch, NoSharedImages
│   ├── DigestMismatch, PartOutOfRange, PartSizeWrong
│   ├── TooManyUploads
│   ├── SourceNotAllowed, SourceMissing, SourceUnreadable, SourceTooLarge
│   ├── UrlNotAllowed, UrlNotPublic, UrlRedirected, UrlUnreachable     an address of the web
│   ├── WebhookUrlNotAllowed, WebhookDisabled, TooManyWebhooks
│   ├── TableInvalid, TableLineInvalid, FileNotSent, LabelsSeveral     a table of labels, or one line of it
│   └── ManifestLineInvalid, CustomIdDuplicate, ImageUnknown
├── ImageError          one picture is at fault; the others continue
│   ├── NotAnImage, UnsupportedFormat, ImageTruncated, ImageDamaged, ImageNotFinite
│   └── ImageTooManyBytes, ImageTooManyPixels, ImageBadDimensions, ImageTooCostly
├── ArchiveError        one archive, or one entry of it, is at fault
│   ├── ArchiveUnreadable, ArchiveTooLarge, ArchiveTooManyEntries
│   └── EntryUnsafePath, EntryNested, EntryEncrypted, EntryTooLarge, EntryDuplicate, EntryIgnored,
│       EntryUnreadable
├── ResultsDeleted      a batch's results were deleted
├── DatasetTooSmall, BackboneUnavailable, WeightsUnavailable, WeightsInvalid, NanLoss, GpuOutOfMemory, TrainingCrashed
├── OutputNotFinite     a model's output for one picture is not a number
├── ExportFailed        a model could not be written in another format
├── ModelGone           the model of a job was deleted
├── PackageInvalid      a model directory that is incomplete, modified or in another format
├── BlobMissing, BlobCorrupt, StorageFull, StorageUnavailable, BrokerUnavailable
└── WorkerLost, DeadlineExceeded, InternalError
"""

from typing import Any, ClassVar


class TsukijiError(Exception):
    """An error with a stable code, a sentence for people and a hint.

    Args:
        detail: what happened, in a sentence.
        hint: what to do about it; the class's own hint by default.
        extra: further members for programs (JSON values).
    """

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    hint: str | None = None
    retriable: ClassVar[bool] = False
    outage: ClassVar[bool] = False
    """Is something down that all work needs? Then the work waits for it, and no attempt is counted."""

    def __init__(self, detail: str = "", *, hint: str | None = None, **extra: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.extra = extra
        if hint is not None:
            self.hint = hint

    def to_dict(self) -> dict[str, Any]:
        """Return the error as it appears in a job, an item or a problem document."""
        return {
            "code": self.code,
            "title": self.title,
            "detail": self.detail,
            "hint": self.hint,
            "retriable": self.retriable,
            **self.extra,
        }


# --- requests --------------------------------------------------------------------------------------------------------


class Unauthorized(TsukijiError):
    code = "unauthorized"
    title = "An API key is required"
    hint = (
        "Create a key with `tsukiji keys create --name NAME` where the service runs. Send it as `Authorization: Bearer "
        "KEY`; the command line and the client read it from TSUKIJI_API_KEY."
    )


class Forbidden(TsukijiError):
    code = "forbidden"
    title = "Not allowed"
    hint = "Send the key as a Bearer token; a page on another site cannot use your cookie."


class NotFound(TsukijiError):
    code = "not_found"
    title = "Not found"
    hint = "Check the id; lists show what exists."


class Conflict(TsukijiError):
    code = "conflict"
    title = "This conflicts with what exists"
    hint = "Choose another name, or change what exists first."


class Invalid(TsukijiError):
    code = "invalid_request"
    title = "The request is invalid"
    hint = "Correct the request and send it again."


class IdempotencyKeyReused(Invalid):
    code = "idempotency_key_reused"
    title = "This Idempotency-Key was used for another request"
    hint = "Use a new key for each new request."


class UnsupportedMediaType(TsukijiError):
    code = "unsupported_media_type"
    title = "Unsupported content type"
    hint = "Send one of the types listed."


class TooLarge(TsukijiError):
    code = "too_large"
    title = "The request is too large"
    hint = "GET /v1/limits shows the limits; send fewer or smaller files, or an archive."


class QueueFull(TsukijiError):
    code = "queue_full"
    title = "Too many jobs are waiting"
    hint = "Wait for some to finish, or cancel some."
    retriable = True


# --- uploads ---------------------------------------------------------------------------------------------------------


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


# --- sources, tables and manifests -----------------------------------------------------------------------------------


class SourceNotAllowed(Invalid):
    code = "source_not_allowed"
    title = "Pictures may not be read from this location"
    hint = "TSUKIJI_SOURCES_ALLOWED lists the folders and S3 prefixes that may be read; the service's operator sets it."


class SourceMissing(Invalid):
    code = "source_missing"
    title = "The folder, prefix or file does not exist"
    hint = "Check the URL, and that it is visible to the `intake` worker's machine; links are not followed."


class SourceUnreadable(Invalid):
    code = "source_unreadable"
    title = "The service has no permission to read the folder, prefix or file"
    hint = "Give the `intake` worker's user or credentials read access."


class SourceTooLarge(Invalid):
    code = "source_too_large"
    title = "The folder or prefix contains more files than allowed"
    hint = "Import its subfolders one by one; GET /v1/limits shows the limit."


class UrlNotAllowed(SourceNotAllowed):
    code = "url_not_allowed"
    title = "Pictures may not be fetched from this address"
    hint = "TSUKIJI_SOURCES_HOSTS lists the allowed hosts; the service's operator sets it."


class UrlNotPublic(SourceNotAllowed):
    code = "url_not_public"
    title = "The address is in a private network"
    hint = "Send the picture itself, or let the service read it from an allowed folder or S3 prefix."


class UrlRedirected(Invalid):
    code = "url_redirected"
    title = "The address redirects to another one"
    hint = "Use the address that this one redirects to; the message shows it."


class UrlUnreachable(TsukijiError):
    code = "url_unreachable"
    title = "The picture could not be fetched"
    hint = (
        "Check the address in a browser, then start the import again: pictures that were imported are not stored twice."
    )


class WebhookUrlNotAllowed(Invalid):
    code = "webhook_url_not_allowed"
    title = "Webhooks may not be sent to this address"
    hint = "TSUKIJI_WEBHOOKS_HOSTS lists the allowed hosts; the service's operator sets it."


class WebhookDisabled(Conflict):
    code = "webhook_disabled"
    title = "The webhook is disabled"
    hint = "Enable it first: PATCH /v1/webhooks/{webhook} with enabled, or `tsukiji webhooks enable WEBHOOK`."


class TooManyWebhooks(Conflict):
    code = "too_many_webhooks"
    title = "There are too many webhooks"
    hint = "Delete one, or let the operator raise TSUKIJI_LIMIT_WEBHOOKS."


class TableInvalid(Invalid):
    code = "table_invalid"
    title = "The table cannot be used"
    hint = "It needs a header with a column `file` or `url`; map other column names with the import's options."


class TableLineInvalid(Invalid):
    code = "table_line_invalid"
    title = "A line of the table is invalid"
    hint = "`line` is its number; the other lines were used."


class FileNotSent(Invalid):
    code = "file_not_sent"
    title = "The table names a file that is missing"
    hint = "Paths are relative to the table or to the top folder; send the file, or remove the line (`line`)."


class LabelsSeveral(Invalid):
    code = "several_labels"
    title = "The data set allows one label per image"
    hint = "Keep one label, or create a data set with the `kind` `multi_label` and import into that."


class ManifestLineInvalid(Invalid):
    code = "manifest_line_invalid"
    title = "A line of the manifest is invalid"
    hint = '`line` is its number; each line is one JSON object: {"custom_id": ..., "image": ...}.'


class CustomIdDuplicate(Invalid):
    code = "duplicate_custom_id"
    title = "The manifest contains this custom_id twice"
    hint = "The first one was used (`first_line`); give the other its own id."


class ImageUnknown(Invalid):
    code = "image_unknown"
    title = "The manifest names an image that the service does not have"
    hint = "Use the id of an image in a data set, `sha256:...` of bytes that the service has, or an allowed URL."


# --- pictures --------------------------------------------------------------------------------------------------------


class ImageError(TsukijiError):
    code = "image_error"
    title = "The picture cannot be used"


class NotAnImage(ImageError):
    code = "not_an_image"
    title = "The file is not a picture"
    hint = "Send JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF."


class UnsupportedFormat(ImageError):
    code = "unsupported_format"
    title = "The picture's format is not supported"
    hint = "Convert it to JPEG or PNG."


class ImageTruncated(ImageError):
    code = "truncated"
    title = "The picture is truncated or damaged"
    hint = "Send the complete file again."


class ImageDamaged(ImageError):
    code = "damaged"
    title = "The picture's file is damaged"
    hint = "Send the file again, or open it in a viewer and save it again."


class ImageNotFinite(ImageError):
    code = "not_finite"
    title = "The picture contains values that are not numbers"
    hint = "Replace NaN and infinity by a number, such as 0, and save it again."


class ImageTooManyBytes(ImageError):
    code = "too_many_bytes"
    title = "The file is too large"
    hint = "Reduce its size; GET /v1/limits shows the limit."


class ImageTooManyPixels(ImageError):
    code = "too_many_pixels"
    title = "The picture has too many pixels"
    hint = "Scale it down; GET /v1/limits shows the limit."


class ImageBadDimensions(ImageError):
    code = "bad_dimensions"
    title = "The picture's width or height is out of bounds"
    hint = "GET /v1/limits shows the bounds."


class ImageTooCostly(ImageError):
    code = "too_costly"
    title = "The picture takes too much time or memory to decode"
    hint = "Open it in a viewer and save it again."


# --- archives --------------------------------------------------------------------------------------------------------


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


# --- data sets -------------------------------------------------------------------------------------------------------


class SampleUnavailable(Invalid):
    code = "sample_unavailable"
    title = "The sample pictures are not installed"
    hint = "They come with scikit-learn: `pip install 'tsukiji[training]'` where the intake worker runs."


class LabelRefused(Invalid):
    code = "label_refused"
    title = "The label is too long, or the data set has too many"
    hint = "GET /v1/limits shows the limits; rename the folder."


class DatasetTooSmall(TsukijiError):
    code = "dataset_too_small"
    title = "The data set is too small to train on"
    hint = "Add labelled images: at least two labels, each with the minimum number of images."


class CropOutside(Invalid):
    code = "crop_outside"
    title = "The crop box extends beyond the picture"
    hint = "Give left, upper, right, lower in pixels of the upright picture; the image's record has width and height."


class ChangedSince(Conflict):
    code = "changed_since"
    title = "Some of the images have changed since"
    hint = "Undo the later revision first; `revision` is its id."


class RevisionUndone(Conflict):
    code = "revision_undone"
    title = "The revision has already been undone"
    hint = "`undone_by` is the undo; undo that to apply the edit again."


# --- trainings and models --------------------------------------------------------------------------------------------


class BackboneUnavailable(TsukijiError):
    code = "backbone_unavailable"
    title = "The backbone needs a library that is not installed"
    hint = "In the workers' checkout: pip install '.[inference]'. Or use resnet18, resnet34 or resnet50."


class WeightsUnavailable(TsukijiError):
    code = "weights_unavailable"
    title = "The pretrained weights are not available"
    hint = (
        "Give the worker the file with `tsukiji weights add FILE` (its folder is TSUKIJI_WEIGHTS_DIR), let it "
        "download them once, or use random weights with recipe.pretrained=false."
    )


class WeightsInvalid(TsukijiError):
    code = "weights_invalid"
    title = "The weights file does not fit the backbone"
    hint = "`tsukiji weights add FILE` takes a state dict of exactly this backbone, and reports what does not fit."


class NanLoss(TsukijiError):
    code = "nan_loss"
    title = "The loss became NaN or infinite"
    hint = "Lower recipe.learning_rate."


class GpuOutOfMemory(TsukijiError):
    code = "gpu_out_of_memory"
    title = "The device has too little memory"
    hint = "Lower recipe.batch_size or recipe.image_size."


class OutOfMemory(TsukijiError):
    code = "out_of_memory"
    title = "The work needed more memory than allowed"
    hint = (
        "Lower recipe.batch_size, recipe.image_size or TSUKIJI_TRAINING_WORKERS, "
        "or raise TSUKIJI_JOBS_TRAINING_MEMORY_MB."
    )


class TrainingCrashed(TsukijiError):
    code = "training_crashed"
    title = "The training process ended without a result"
    hint = "If the system killed it for lack of memory, lower recipe.batch_size or recipe.image_size."
    retriable = True


class ModelGone(TsukijiError):
    code = "model_gone"
    title = "The model was deleted"
    hint = "Choose an existing model; earlier results are kept."


class PackageInvalid(TsukijiError):
    code = "package_invalid"
    title = "The model package is incomplete, modified or in another format"
    hint = (
        "Download or send the complete package again. For a model of this service: train it again, "
        "or restore the store from a backup."
    )


class LabelsUnknown(Invalid):
    code = "labels_unknown"
    title = "The data set has labels that the model does not know"
    hint = (
        "Evaluate on a data set or split with the model's own labels (`labels` lists the others), "
        "or relabel these images."
    )


class KindMismatch(Invalid):
    code = "kind_mismatch"
    title = "One is single-label, the other multi-label"
    hint = "Use a model and a data set of the same kind: `single_label` or `multi_label`."


class NoSharedImages(Invalid):
    code = "no_shared_images"
    title = "The two evaluations have no image in common"
    hint = "Evaluate both models on the same data set and split, then compare the new evaluations."


class OutputNotFinite(TsukijiError):
    code = "output_not_finite"
    title = "The model's output is not a number"
    hint = (
        "If this happens for all pictures, the model is damaged: train or import it again. If only for some, try "
        "TSUKIJI_INFERENCE_PRECISION=float32."
    )


class ExportFailed(TsukijiError):
    code = "export_failed"
    title = "The model could not be exported to this format"
    hint = "The package itself is intact: GET /v1/models/{model}/package downloads it."


# --- jobs and workers ------------------------------------------------------------------------------------------------


class BatchEmpty(Invalid):
    code = "batch_empty"
    title = "The batch contains no images"
    hint = "Check the archive, or the data set and its split."


class BatchTooLarge(Invalid):
    code = "batch_too_large"
    title = "The batch contains more images than allowed"
    hint = "Split it; GET /v1/limits shows the limit."


class NoImageSucceeded(TsukijiError):
    code = "no_image_succeeded"
    title = "None of the images could be classified"
    hint = "The items show the reason for each image."


class WorkerLost(TsukijiError):
    code = "worker_lost"
    title = "The worker died every time it ran this work"
    hint = (
        "Check the workers' logs. The cause is often a lack of memory, or a single picture: halve the batch to find it."
    )


class WorkStalled(TsukijiError):
    code = "stalled"
    title = "The work made no progress for too long"
    hint = "If it is only slow, raise TSUKIJI_JOBS_STALL_SECONDS; otherwise check the worker's log."
    retriable = True


class DeadlineExceeded(TsukijiError):
    code = "deadline_exceeded"
    title = "The work was not finished by its deadline"
    hint = "Finished results are kept. Run it again with a later deadline (deadline_seconds) or more workers."


class JobNotDone(Conflict):
    code = "job_not_done"
    title = "The job has not finished"
    hint = "Cancel it or wait until it finishes, then delete it."


class ResultsDeleted(TsukijiError):
    code = "results_deleted"
    title = "The results were deleted"
    hint = "The job keeps its counts and history. Run it again for new results."


class InternalError(TsukijiError):
    code = "internal"
    hint = "Search the logs for this job's or request's id."


# --- storage and servers ---------------------------------------------------------------------------------------------


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
