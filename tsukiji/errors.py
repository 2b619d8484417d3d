"""Every error the service can name. Knows no HTTP: the numbers stand in `api/http/errors.py`.

TsukijiError
├── NotFound, Conflict (JobNotDone), Invalid, Unauthorized, Forbidden, TooLarge, UnsupportedMediaType, QueueFull
│   ├── UploadIncomplete, UploadClosed     conflicts of an upload in parts
│   ├── RevisionUndone, ChangedSince       conflicts of an undo
│   ├── CropOutside, LabelsUnknown, KindMismatch, NoSharedImages
│   ├── DigestMismatch, PartOutOfRange, PartSizeWrong
│   ├── TooManyUploads
│   ├── SourceNotAllowed, SourceMissing, SourceUnreadable, SourceTooLarge
│   ├── UrlNotAllowed, UrlNotPublic, UrlRedirected, UrlUnreachable     an address of the web
│   ├── TableInvalid, TableLineInvalid, FileNotSent, LabelsSeveral     a table of labels, or one line of it
│   └── ManifestLineInvalid, CustomIdDuplicate, ImageUnknown
├── ImageError          one picture is at fault; the others go on
│   ├── NotAnImage, UnsupportedFormat, ImageTruncated, ImageDamaged, ImageNotFinite
│   └── ImageTooManyBytes, ImageTooManyPixels, ImageBadDimensions, ImageTooCostly
├── ArchiveError        one archive, or one entry of it, is at fault
│   ├── ArchiveUnreadable, ArchiveTooLarge, ArchiveTooManyEntries
│   └── EntryUnsafePath, EntryNested, EntryEncrypted, EntryTooLarge, EntryDuplicate, EntryIgnored,
│       EntryUnreadable
├── ResultsDeleted      a batch's results were there, and are no more
├── DatasetTooSmall, BackboneUnavailable, WeightsUnavailable, WeightsInvalid, NanLoss, GpuOutOfMemory, TrainingCrashed
├── OutputNotFinite     what a model makes of one picture is no number
├── ExportFailed        a model could not be written in another format
├── ModelGone           the model of a job was deleted
├── PackageInvalid      a model directory that is incomplete, altered or of another format
├── BlobMissing, BlobCorrupt, StorageFull, StorageUnavailable, BrokerUnavailable
└── WorkerLost, DeadlineExceeded, InternalError
"""

from typing import Any, ClassVar


class TsukijiError(Exception):
    """An error with a stable code, a sentence for a person and a way out.

    Args:
        detail: what happened, in a sentence.
        hint: what to do about it; the class's own hint by default.
        extra: further members for programs (JSON values).
    """

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong inside Tsukiji"
    hint: str | None = None
    retriable: ClassVar[bool] = False
    outage: ClassVar[bool] = False
    """Is something away that all work needs? Then the work waits for it, and no attempt is counted."""

    def __init__(self, detail: str = "", *, hint: str | None = None, **extra: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.extra = extra
        if hint is not None:
            self.hint = hint

    def to_dict(self) -> dict[str, Any]:
        """Return the error as it stands in a job, an item or a problem document."""
        return {
            "code": self.code,
            "title": self.title,
            "detail": self.detail,
            "hint": self.hint,
            "retriable": self.retriable,
            **self.extra,
        }


class NotFound(TsukijiError):
    code = "not_found"
    title = "There is no such thing"
    hint = "Check the id; lists show what exists."


class Conflict(TsukijiError):
    code = "conflict"
    title = "This does not go with what is there"
    hint = "Take another name, or change what is there first."


class JobNotDone(Conflict):
    code = "job_not_done"
    title = "The job has not ended yet"
    hint = "Cancel it, or wait for its end; then delete."


class Invalid(TsukijiError):
    code = "invalid_request"
    title = "The request is not valid"
    hint = "Correct it, then send it again."


class Unauthorized(TsukijiError):
    code = "unauthorized"
    title = "An API key is needed"
    hint = (
        "Make a key with `tsukiji keys create --name NAME` where the service runs. Send it as `Authorization: Bearer "
        "KEY`; the command line and the client take it from TSUKIJI_API_KEY."
    )


class Forbidden(TsukijiError):
    code = "forbidden"
    title = "This is not allowed"
    hint = "Send the key as a Bearer token; a page elsewhere cannot use your cookie."


class TooLarge(TsukijiError):
    code = "too_large"
    title = "The request is too large"
    hint = "GET /v1/limits shows the limits; send fewer or smaller files, or an archive."


class UnsupportedMediaType(TsukijiError):
    code = "unsupported_media_type"
    title = "This content type is not taken here"
    hint = "Send one of the types that are named."


class QueueFull(TsukijiError):
    code = "queue_full"
    title = "Too many jobs are waiting"
    hint = "Wait for some to finish, or cancel some."
    retriable = True


class UploadIncomplete(Conflict):
    code = "upload_incomplete"
    title = "Parts of the upload are missing"
    hint = "GET /v1/uploads/{upload} lists the parts that are confirmed; send the others, then complete it."


class UploadClosed(Conflict):
    code = "upload_closed"
    title = "The upload is complete and takes no other parts"
    hint = "Use it as it is, or begin another upload."


class RevisionUndone(Conflict):
    code = "revision_undone"
    title = "The revision was undone already"
    hint = "`undone_by` names the undo; to have the act again, undo that."


class ChangedSince(Conflict):
    code = "changed_since"
    title = "Some of the images were changed again since"
    hint = "Undo the later revision first: `revision` names it."


class CropOutside(Invalid):
    code = "crop_outside"
    title = "The crop box leaves the picture"
    hint = "Give left, upper, right, lower in pixels of the upright picture; the image's record has width and height."


class DigestMismatch(Invalid):
    code = "digest_mismatch"
    title = "The bytes do not have the hash that was given"
    hint = "Send them again; if the hash is still another one, compute it anew: the file may have changed."


class PartOutOfRange(Invalid):
    code = "part_out_of_range"
    title = "The upload has no part of this number"
    hint = "Parts are numbered from 1; GET /v1/uploads/{upload} says how many there are (`parts_total`)."


class PartSizeWrong(Invalid):
    code = "part_size_wrong"
    title = "The part has another size than it should"
    hint = "Every part has `part_bytes` bytes, the last one what is left."


class TooManyUploads(QueueFull):
    code = "too_many_uploads"
    title = "Too many uploads are unfinished"
    hint = "Complete or delete some: GET /v1/uploads lists them."


class ImageError(TsukijiError):
    code = "image_error"
    title = "The picture cannot be used"


class NotAnImage(ImageError):
    code = "not_an_image"
    title = "The file is not a picture"
    hint = "Send JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF."


class UnsupportedFormat(ImageError):
    code = "unsupported_format"
    title = "The picture's format is not taken"
    hint = "Convert it to JPEG or PNG."


class ImageTruncated(ImageError):
    code = "truncated"
    title = "The picture is cut short or damaged"
    hint = "Send the file again, whole."


class ImageDamaged(ImageError):
    code = "damaged"
    title = "The picture's file is damaged"
    hint = "Send the file again, or open it in a viewer and save it anew."


class ImageNotFinite(ImageError):
    code = "not_finite"
    title = "The picture has values that are no numbers"
    hint = "Give NaN and infinity a number, such as 0, and save it again."


class ImageTooManyBytes(ImageError):
    code = "too_many_bytes"
    title = "The file is too large"
    hint = "Save it smaller; GET /v1/limits shows the limit."


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
    title = "The picture takes too much to decode"
    hint = "Open it in a viewer and save it anew."


class ArchiveError(TsukijiError):
    code = "archive_error"
    title = "The archive cannot be used"


class ArchiveUnreadable(ArchiveError):
    code = "archive_unreadable"
    title = "The file is not a readable archive"
    hint = "Make a zip, tar or tar.gz and send it whole."


class ArchiveTooLarge(ArchiveError):
    code = "archive_too_large"
    title = "The archive is larger than allowed"
    hint = "Split it; GET /v1/limits shows the limits."


class ArchiveTooManyEntries(ArchiveError):
    code = "archive_too_many_entries"
    title = "The archive holds more files than allowed"
    hint = "Split it; GET /v1/limits shows the limits."


class EntryUnsafePath(ArchiveError):
    code = "unsafe_path"
    title = "The entry's path leads outside, or is no plain file"
    hint = "Pack plain files, with relative paths and no `..`."


class EntryNested(ArchiveError):
    code = "nested_archive"
    title = "An archive inside an archive is not opened"
    hint = "Unpack it and send its pictures."


class EntryEncrypted(ArchiveError):
    code = "encrypted_entry"
    title = "The entry is encrypted"
    hint = "Pack it without a password."


class EntryTooLarge(ArchiveError):
    code = "entry_too_large"
    title = "The entry is larger than allowed, or unpacks to more than it says"
    hint = "GET /v1/limits shows the limits; leave the file out, or scale it down."


class EntryDuplicate(ArchiveError):
    code = "duplicate_entry"
    title = "The archive holds this name twice"
    hint = "The first one was taken; give the other a name of its own."


class EntryIgnored(ArchiveError):
    code = "ignored_entry"
    title = "A file that systems leave behind; not a picture of yours"
    hint = "Nothing to do; it is not counted."


class EntryUnreadable(ArchiveError):
    code = "unreadable_entry"
    title = "The entry is damaged, or packed in a way that is not read"
    hint = "Make the archive again with ordinary (deflate) compression."


class LabelRefused(Invalid):
    code = "label_refused"
    title = "The label is too long, or the data set has too many"
    hint = "GET /v1/limits shows the limits; rename the folder."


class BatchTooLarge(Invalid):
    code = "batch_too_large"
    title = "The batch holds more images than allowed"
    hint = "Split it; GET /v1/limits shows the limit."


class BatchEmpty(Invalid):
    code = "batch_empty"
    title = "The batch holds no images"
    hint = "Check the archive, or the data set and its split."


class LabelsUnknown(Invalid):
    code = "labels_unknown"
    title = "The data set has labels that the model does not know"
    hint = "Evaluate on a data set or split of the model's own labels (`labels` lists the others), or relabel these."


class KindMismatch(Invalid):
    code = "kind_mismatch"
    title = "One is for images of one label, the other for images of several"
    hint = "Take a model and a data set of one kind: `single_label` or `multi_label`; both say which they are."


class NoSharedImages(Invalid):
    code = "no_shared_images"
    title = "The two evaluations hold no image in common"
    hint = "Evaluate both models on the same data set and split, then compare those."


class ManifestLineInvalid(Invalid):
    code = "manifest_line_invalid"
    title = "A line of the manifest is not valid"
    hint = '`line` says which; a line is one JSON object: {"custom_id": ..., "image": ...}.'


class CustomIdDuplicate(Invalid):
    code = "duplicate_custom_id"
    title = "This custom_id stands in the manifest twice"
    hint = "The first one was taken (`first_line`); give the other an id of its own."


class ImageUnknown(Invalid):
    code = "image_unknown"
    title = "The manifest names an image that the service does not have"
    hint = "Name an image of a data set by its id, bytes that the service holds as `sha256:...`, or an allowed URL."


class SourceNotAllowed(Invalid):
    code = "source_not_allowed"
    title = "Pictures are not read from there"
    hint = (
        "TSUKIJI_SOURCES_ALLOWED lists the folders and S3 prefixes that may be read; whoever runs the service sets it."
    )


class SourceMissing(Invalid):
    code = "source_missing"
    title = "There is no such folder, prefix or file"
    hint = "Check the URL, and that the machine of the `intake` worker sees it; links are not followed."


class UrlNotAllowed(SourceNotAllowed):
    code = "url_not_allowed"
    title = "Pictures are not fetched from this address"
    hint = "TSUKIJI_SOURCES_HOSTS lists the hosts that may be asked; whoever runs the service sets it."


class UrlNotPublic(SourceNotAllowed):
    code = "url_not_public"
    title = "The address leads into a private network"
    hint = "Send the picture itself, or let the service read it from an allowed folder or S3 prefix."


class UrlRedirected(Invalid):
    code = "url_redirected"
    title = "The address leads on to another one"
    hint = "Name the address where the picture is; the message says where this one leads."


class UrlUnreachable(TsukijiError):
    code = "url_unreachable"
    title = "The picture could not be fetched"
    hint = "Open the address in a browser; then start the import again: what is there already is not kept twice."


class TableInvalid(Invalid):
    code = "table_invalid"
    title = "The table cannot be used"
    hint = "It needs a header with a column `file` or `url`; name other columns with the import's options."


class TableLineInvalid(Invalid):
    code = "table_line_invalid"
    title = "A line of the table is not valid"
    hint = "`line` says which; the other lines were taken."


class FileNotSent(Invalid):
    code = "file_not_sent"
    title = "The table names a file that is not there"
    hint = "Paths are relative to the table or to the top; send the file, or take the line out (`line`)."


class LabelsSeveral(Invalid):
    code = "several_labels"
    title = "The data set holds one label for each image"
    hint = "Keep the label that counts, or make a data set whose `kind` is `multi_label` and import there."


class SourceUnreadable(Invalid):
    code = "source_unreadable"
    title = "The service may not read the folder, prefix or file"
    hint = "Give the user or the credentials of the `intake` worker the right to read it."


class SourceTooLarge(Invalid):
    code = "source_too_large"
    title = "The folder or prefix holds more files than allowed"
    hint = "Name its folders one by one; GET /v1/limits shows the limit."


class NoImageSucceeded(TsukijiError):
    code = "no_image_succeeded"
    title = "None of the images could be classified"
    hint = "The items list each image's reason."


class IdempotencyKeyReused(Invalid):
    code = "idempotency_key_reused"
    title = "This Idempotency-Key was used for another request"
    hint = "Use a new key for each new request."


class ResultsDeleted(TsukijiError):
    code = "results_deleted"
    title = "The results were deleted"
    hint = "The job's own address still tells its counts and history. Start it again for new results."


class DatasetTooSmall(TsukijiError):
    code = "dataset_too_small"
    title = "The data set is too small to train on"
    hint = "Add labelled images: at least two labels, and the minimum of images for each."


class BackboneUnavailable(TsukijiError):
    code = "backbone_unavailable"
    title = "The backbone needs a library that is not installed"
    hint = "In the checkout of the workers: pip install '.[inference]'. Or choose resnet18, resnet34 or resnet50."


class WeightsUnavailable(TsukijiError):
    code = "weights_unavailable"
    title = "The pretrained weights cannot be had"
    hint = (
        "Give the worker a file of them with `tsukiji weights add FILE` (its folder is TSUKIJI_WEIGHTS_DIR), let it "
        "reach the internet once, or ask for random weights with recipe.pretrained=false."
    )


class WeightsInvalid(TsukijiError):
    code = "weights_invalid"
    title = "The weights file does not fit the backbone"
    hint = "`tsukiji weights add FILE` takes a state dict of this very backbone, and says what does not fit."


class NanLoss(TsukijiError):
    code = "nan_loss"
    title = "The loss is no longer a number"
    hint = "Lower recipe.learning_rate."


class GpuOutOfMemory(TsukijiError):
    code = "gpu_out_of_memory"
    title = "The device has too little memory"
    hint = "Lower recipe.batch_size or recipe.image_size."


class TrainingCrashed(TsukijiError):
    code = "training_crashed"
    title = "The training process ended without a result"
    hint = "If the system ended it for want of memory, lower recipe.batch_size or recipe.image_size."
    retriable = True


class WorkStalled(TsukijiError):
    code = "stalled"
    title = "The work made no progress for too long"
    hint = "If it is only slow, raise TSUKIJI_JOBS_STALL_SECONDS; else look into the worker's log."
    retriable = True


class OutOfMemory(TsukijiError):
    code = "out_of_memory"
    title = "The work needed more memory than it may have"
    hint = (
        "Lower recipe.batch_size, recipe.image_size or TSUKIJI_TRAINING_WORKERS, "
        "or raise TSUKIJI_JOBS_TRAINING_MEMORY_MB."
    )


class PackageInvalid(TsukijiError):
    code = "package_invalid"
    title = "The model package is incomplete, altered or of another format"
    hint = "Fetch or send the package again, whole; of a model here: train again, or restore the store's backup."


class OutputNotFinite(TsukijiError):
    code = "output_not_finite"
    title = "The model's answer is not a number"
    hint = (
        "If it is so for all pictures the model is damaged: train it again, or import it again. If for some, try "
        "TSUKIJI_INFERENCE_PRECISION=float32."
    )


class ExportFailed(TsukijiError):
    code = "export_failed"
    title = "The model could not be written in this format"
    hint = "The package itself is whole: GET /v1/models/{model}/package fetches it."


class ModelGone(TsukijiError):
    code = "model_gone"
    title = "The model was deleted"
    hint = "Choose a model that exists; what was classified before is kept."


class BlobMissing(TsukijiError):
    code = "blob_missing"
    title = "Stored bytes are gone from the store"
    hint = "Send the picture again, or put the store back from a backup."


class BlobCorrupt(TsukijiError):
    code = "blob_corrupt"
    title = "Stored bytes do not match their hash"
    hint = "Check the disk; then send the picture again, which replaces the bytes, or restore the store's backup."


class StorageFull(TsukijiError):
    code = "storage_full"
    title = "The store is full"
    hint = "Free space or move the store, then try again."
    retriable = True
    outage = True


class StorageUnavailable(TsukijiError):
    code = "storage_unavailable"
    title = "The store cannot be reached"
    hint = "Bring it back, or wait: nothing that was accepted is lost, and work goes on once it answers."
    retriable = True
    outage = True


class BrokerUnavailable(TsukijiError):
    code = "broker_unavailable"
    title = "The queue's broker cannot be reached"
    hint = "Nothing is lost: work that was accepted starts once the broker is back."
    retriable = True


class DatabaseAway(TsukijiError):
    code = "database_unavailable"
    title = "The database does not answer"
    hint = "Try again shortly."
    retriable = True
    outage = True


class WorkerLost(TsukijiError):
    code = "worker_lost"
    title = "The worker died each time it took this work"
    hint = (
        "Look into the workers' logs; often memory was short, or one picture is to blame: halve the batch to find it."
    )


class DeadlineExceeded(TsukijiError):
    code = "deadline_exceeded"
    title = "The work was not done in the time it was given"
    hint = "What is finished is kept. Start it again with more time (deadline_seconds), or with more workers."


class InternalError(TsukijiError):
    code = "internal"
    hint = "The logs hold the details under this job's or request's id."
