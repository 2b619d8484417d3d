"""Detects formats by their first bytes. File names and content types are ignored, as both may be wrong."""

import re
from typing import Final

from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from tsukiji.errors import NotAnImage, UnsupportedFormat

HEAD_BYTES: Final = 512
LEADING: Final = re.compile(rb"(?:\xef\xbb\xbf|[\t\n\r ]){1,16}")
"""What programs that treat a picture as text put before it."""


def _signature(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


# MPO is a JPEG followed by more pictures; the JPEG reader sees its first one.
TAKEN: Final[dict[re.Pattern[bytes], type[ImageFile]]] = {
    _signature(rb"\xff\xd8\xff"): JpegImageFile,
    _signature(rb"\x89PNG\r\n\x1a\n"): PngImageFile,
    _signature(rb"RIFF.{4}WEBP"): WebPImageFile,
    _signature(rb".{4}ftyp(?:avi[fs]|(?:mif1|msf1|miaf).{4}(?:.{4}){0,8}avi[fs])"): AvifImageFile,
    _signature(rb"GIF8[79]a"): GifImageFile,
    _signature(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"): BmpImageFile,
    _signature(rb"(?:II[*+]\0|MM\0[*+])(?!.{4}(?:CR|IIII))"): TiffImageFile,
}
REFUSED: Final[dict[re.Pattern[bytes], str]] = {
    _signature(rb".{4}ftyp(?:he[iv][cmsx]|mif1|msf1)"): "HEIC",
    _signature(rb".{4}ftypcrx |II\*\0.{4}(?:CR|IIII)|IIR[OS]|MMOR|IIU\0|FUJIFILMCCD-RAW|\0MRM|FOVb"): "camera raw",
    _signature(rb".{4}ftyp|\x1aE\xdf\xa3|RIFF.{4}AVI "): "video",
    _signature(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"): "JPEG 2000",
    _signature(rb"\0\0\0\x0cJXL |\xff\x0a"): "JPEG XL",
    _signature(rb"8BPS"): "Photoshop",
    _signature(rb"%PDF-"): "PDF",
    _signature(rb"%!PS|\xc5\xd0\xd3\xc6"): "PostScript",
    _signature(rb"(?:\xef\xbb\xbf)?\s*<.*?<?svg[\s>]"): "SVG",
    _signature(rb"\0\0[\1\2]\0[^\0]"): "ICO",
    _signature(rb"P[1-7]\s+[\d#]"): "Netpbm",
}


def sniff(data: bytes) -> type[ImageFile]:
    """Return Pillow's reader for the format of `data`.

    Raises:
        UnsupportedFormat: a known picture format that is not supported; `format` names it.
        NotAnImage: anything else.
    """
    leading = LEADING.match(data)
    start = leading.end() if leading else 0
    head = data[start : start + HEAD_BYTES]
    for signature, reader in TAKEN.items():
        if signature.match(head):
            return reader
    for signature, name in REFUSED.items():
        if signature.match(head):
            raise UnsupportedFormat(f"{name} files are not supported.", format=name)
    raise NotAnImage("The file is empty." if not data else "The file is not a picture in a known format.")
