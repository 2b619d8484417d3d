"""Decodes pictures whose decoder has no limits in a process with limits. Thread-safe.

An AVIF of a hundred bytes may declare a small size and hold a frame of 268 megapixels, and Pillow unpacks run lengths
of BMP in Python. `python -m tsukiji.vision.decoding.sandbox` reads such files from standard input, one after the other,
with no more memory than the declared size needs, and is killed when it takes too long.
"""

import atexit
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from PIL import Image
from PIL.ImageFile import ImageFile

from tsukiji import errors
from tsukiji.errors import ImageError, ImageTooCostly
from tsukiji.vision.decoding import pixels
from tsukiji.vision.decoding.containers.contents import Contents
from tsukiji.vision.decoding.containers.exif import orientation_of

try:
    import resource
except ImportError:  # Windows has no such limits: there the process is only killed when it takes too long
    resource = None  # type: ignore[assignment]

LONGEST_SECONDS: Final = 60
SPARE_BYTES: Final = 256 * 2**20
"""For the decoder's threads and tables, whatever the picture's size."""
PIXEL_BYTES: Final = 32
READERS: Final = {reader.format: reader for reader in pixels.CONTAINERS}

Frame = tuple[dict[str, Any], bytes]


def look(reader: type[ImageFile], contents: Contents) -> Contents:
    """Return the contents with size and orientation, which only the decoder can read.

    Raises:
        ImageError
    """
    if contents.width:
        return contents
    facts, _ = _OTHER.ask({"do": "look", "format": reader.format, "cut": contents.cut}, contents.data)
    return replace(contents, memory=PIXEL_BYTES, **facts)


def load(reader: type[ImageFile], contents: Contents) -> Image.Image:
    """Return what `pixels.load` returns.

    Raises:
        ImageError
    """
    question = {"do": "load", "format": reader.format, "cut": contents.cut, "pixels": contents.largest}
    facts, data = _OTHER.ask(question, contents.data)
    return Image.frombytes(facts["mode"], tuple(facts["size"]), data)


# --- parent process --------------------------------------------------------------------------------------------------


class _Other:
    """The sandbox process; started on first use, and again after it ended."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def renew(self) -> None:
        """Forget the process of the parent that this one was forked from."""
        if self._process:  # its destructor would wait for another process's child
            self._process.returncode = 0
        self._begin()

    def ask(self, question: dict[str, Any], data: bytes) -> Frame:
        """Return the answer.

        Raises:
            ImageError: reported by the sandbox, or it died.
        """
        with self._lock:
            process = self._process = self._process or _start()
            watch = threading.Timer(LONGEST_SECONDS, process.kill)
            watch.daemon = True
            watch.start()
            try:
                assert process.stdin
                assert process.stdout
                _write(process.stdin, question, data)
                answer = _read(process.stdout)
            except OSError:
                answer = None
            finally:
                watch.cancel()
            if answer is None:
                self._end()
                raise ImageTooCostly("The picture takes more time or memory than it should for its size.")
        if error := answer[0].get("error"):
            raise _error_of(error)
        return answer

    def close(self) -> None:
        with self._lock:
            self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


def _error_of(facts: dict[str, Any]) -> ImageError:
    kind = getattr(errors, facts["name"], ImageError)
    error: ImageError = kind(facts["detail"], **facts["extra"])
    return error


_OTHER: Final = _Other()
atexit.register(_OTHER.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_OTHER.renew)


# --- protocol --------------------------------------------------------------------------------------------------------


def _write(to: BinaryIO | Any, head: dict[str, Any], data: bytes) -> None:
    text = json.dumps(head).encode()
    to.write(struct.pack(">IQ", len(text), len(data)) + text)
    to.write(data)
    to.flush()


def _read(source: BinaryIO | Any) -> Frame | None:
    """Return the next frame; None at the end."""
    lengths = source.read(12)
    if len(lengths) < 12:
        return None
    words, size = struct.unpack(">IQ", lengths)
    text, data = source.read(words), source.read(size)
    return (json.loads(text), data) if len(text) == words and len(data) == size else None


# --- sandbox process -------------------------------------------------------------------------------------------------


def main() -> None:
    """Serve requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    while frame := _read(sys.stdin.buffer):
        _bound(0, len(frame[1]))
        try:
            head, data = _answer(*frame)
        except ImageError as error:
            head, data = {"error": {"name": type(error).__name__, "detail": error.detail, "extra": error.extra}}, b""
        except MemoryError:
            return
        _write(sys.stdout.buffer, head, data)


def _answer(question: dict[str, Any], data: bytes) -> Frame:
    reader = READERS[question["format"]]
    contents = Contents(data, 0, 0, cut=question["cut"])
    if question["do"] == "look":
        image = pixels.open_image(reader, contents)
        turn = orientation_of(image.info.get("exif", b""), image.info.get("xmp", b""))
        animated = bool(getattr(image, "is_animated", False))
        return {"width": image.width, "height": image.height, "orientation": turn, "animated": animated}, b""
    _bound(question["pixels"], len(data))
    found = pixels.load(reader, contents)
    if found.mode == "P":
        found = found.convert("RGB")
    return {"mode": found.mode, "size": found.size}, found.tobytes()


def _bound(pixel_count: int, file_bytes: int) -> None:
    """Limit further memory to what this many pixels need."""
    if resource is None or sys.platform != "linux":
        return
    held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    allowed = held + SPARE_BYTES + 4 * file_bytes + PIXEL_BYTES * pixel_count
    resource.setrlimit(resource.RLIMIT_AS, (allowed if hard == resource.RLIM_INFINITY else min(allowed, hard), hard))


if __name__ == "__main__":
    main()
