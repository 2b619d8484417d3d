"""Errors of one picture; the others continue."""

from tsukiji.errors.base import TsukijiError


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
