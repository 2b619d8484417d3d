"""Uploads of large files in parts: confirmed parts are never sent again, even by another process."""

import base64
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tsukiji import types
from tsukiji.client._async._bound import Identified, Resource, id_of
from tsukiji.client._async._pages import AsyncPaged
from tsukiji.client._async._runtime import each, in_thread, lock
from tsukiji.client._async._transport import Transport
from tsukiji.client._base import path
from tsukiji.client._exceptions import APIStatusError
from tsukiji.client._progress import counted

Sent = Callable[[int, int], None]
"""Called with the confirmed and total bytes."""

THREADS: Final = 3
"""Parts at once; each is in memory."""
TRIES: Final = 3
"""Attempts for a part that arrives with a wrong hash."""
UPLOAD_SECONDS: Final = 600
BY_PARTS_BYTES: Final = 32 * 2**20
"""Larger files are uploaded in parts; smaller ones are simply sent again."""


class Uploads(Resource):
    async def send(self, file: str | os.PathLike[str], progress: Sent | bool | None = None) -> types.Upload:
        """Upload a file in parts and return the completed upload; parts sent by earlier runs are not sent again.

        The service knows the file by its hash, so another process or machine may resume it.

        Args:
            file: its path.
            progress: called with the confirmed and total bytes, at once and after each part; by default a line shows
                them in a terminal or a notebook, False shows none.

        Raises:
            ValueError: the file is empty.
            OSError: it cannot be read.
            APIError: the service refused the request or is unreachable. Confirmed parts are kept; run it again.
        """
        return await send(self._transport, Path(file), progress)

    async def get(self, upload_id: str) -> types.Upload:
        """Fetch one, with its confirmed parts."""
        return await self._transport.fetch(types.Upload, "GET", path("uploads", upload_id))

    async def delete(self, upload: str | Identified) -> None:
        """Delete one; jobs started with it are not affected."""
        await self._transport.request("DELETE", path("uploads", id_of(upload)))

    def list(self, *, page_size: int | None = None) -> AsyncPaged[types.Upload]:
        return self._transport.paged(path("uploads"), types.Upload.model_validate, limit=page_size)


async def send(transport: Transport, file: Path, progress: Sent | bool | None = None) -> types.Upload:
    """See `Uploads.send`."""
    with counted(progress, file.name, "MiB", enabled=transport.config.progress) as report:
        return await _send(transport, file, report)


async def _send(transport: Transport, file: Path, progress: Sent) -> types.Upload:
    size = file.stat().st_size
    if not size:
        raise ValueError(f"{file} is empty")
    sha256 = await in_thread(_sha256, file)
    name = os.fsencode(file.name).decode("utf-8", "replace")  # whatever bytes the disk holds
    asked_for = {"name": name[:200], "bytes": size, "sha256": sha256}
    upload = await transport.fetch(types.Upload, "POST", path("uploads"), json=asked_for)
    if upload.status == "open":
        await _send_missing(transport, file, upload, progress)
        place = path("uploads", upload.id, "complete")
        upload = await transport.fetch(types.Upload, "POST", place, timeout=UPLOAD_SECONDS)
    progress(size, size)
    return upload


async def _send_missing(transport: Transport, file: Path, upload: types.Upload, progress: Sent) -> None:
    there = {part.number for part in upload.parts}
    missing = [number for number in range(1, upload.parts_total + 1) if number not in there]
    confirmed, counting = upload.bytes_confirmed, lock()
    progress(confirmed, upload.bytes)

    async def send_one(number: int) -> None:
        nonlocal confirmed
        data = await in_thread(_read, file, (number - 1) * upload.part_bytes, upload.part_bytes)
        await _send_part(transport, upload.id, number, data)
        with counting:
            confirmed += len(data)
            progress(confirmed, upload.bytes)

    await each(send_one, missing, THREADS)


async def _send_part(transport: Transport, upload_id: str, number: int, data: bytes) -> None:
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    headers = {"Content-Type": "application/octet-stream", "Content-Digest": f"sha-256=:{digest}:"}
    place = path("uploads", upload_id, "parts", str(number))
    for left in reversed(range(TRIES)):
        try:
            await transport.request("PUT", place, content=io.BytesIO(data), headers=headers, timeout=UPLOAD_SECONDS)
        except APIStatusError as error:
            if error.code != "digest_mismatch" or not left:
                raise
        else:
            return


def _sha256(file: Path) -> str:
    with file.open("rb") as whole:
        return hashlib.file_digest(whole, "sha256").hexdigest()


def _read(file: Path, start: int, size: int) -> bytes:
    with file.open("rb") as whole:
        whole.seek(start)
        return whole.read(size)
