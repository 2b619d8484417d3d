"""Errors of sources, addresses, tables of labels and manifests."""

from tsukiji.errors.base import TsukijiError
from tsukiji.errors.requests import Invalid


class SourceNotAllowed(Invalid):
    code = "source_not_allowed"
    title = "Pictures may not be read from this location"
    hint = "TSUKIJI_SOURCES_ALLOWED lists the folders and S3 prefixes that may be read; the service's operator sets it."


class OutputNotAllowed(Invalid):
    code = "output_not_allowed"
    title = "Results may not be written to this location"
    hint = "TSUKIJI_OUTPUTS_ALLOWED lists the folders and S3 prefixes for results; the service's operator sets it."


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
