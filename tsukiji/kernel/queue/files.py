"""A broker without a server: messages are files in a local folder. Knows kombu, and no tasks.

A message appears by a rename, so it is never read half-written, and goes to the process that removes its file: the file
system lets exactly one succeed. Names sort by age. A message held by a dying worker is lost, which the dispatcher
repairs; for the same reason nothing is synced to disk. (kombu's own `filesystem://` writes in place: readers find
half-written and empty files, and crash.)
"""

import json
import os
import secrets
import time
from pathlib import Path
from queue import Empty
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import quote

import structlog
from kombu.transport import base, virtual

log = structlog.get_logger(__name__)


class Channel(virtual.Channel):  # type: ignore[misc]  # kombu has no types
    """The methods required by `kombu.transport.virtual`."""

    def _put(self, queue: str, message: dict[str, Any], **_: Any) -> None:
        path = self._folder(queue) / f"{time.time_ns():020d}-{secrets.token_hex(4)}.msg"
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        try:
            draft.write_text(json.dumps(message), "utf-8")
            draft.rename(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def _get(self, queue: str) -> dict[str, Any]:
        for path in self._waiting(queue):
            text = _take(path)
            if text is not None and (message := self._parse(text, path)):
                return message
        raise Empty

    def _parse(self, text: bytes, path: Path) -> dict[str, Any] | None:
        """Return the message, or None if malformed: one bad file must not stop a worker."""
        try:
            message: dict[str, Any] = json.loads(text)
            self.Message(message, channel=self)  # raises if a part is missing
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("message_dropped", file=path.name, error=repr(error))
            return None
        return message

    def _size(self, queue: str) -> int:
        return len(self._waiting(queue))

    def _purge(self, queue: str) -> int:
        return sum(_take(path) is not None for path in self._waiting(queue))

    def _has_queue(self, queue: str, **_: Any) -> bool:
        return self._folder(queue).is_dir()

    def _new_queue(self, queue: str, **_: Any) -> None:
        self._folder(queue).mkdir(parents=True, exist_ok=True)

    def _waiting(self, queue: str) -> list[Path]:
        """Return the messages in order; there may be a hundred thousand."""
        folder = self._folder(queue)
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if entry.name.endswith(".msg"))
        except FileNotFoundError:
            return []
        return [folder / name for name in names]

    def _folder(self, queue: str) -> Path:
        """Return the queue's folder, with a name that is safe on every system."""
        root: Path = self.connection.folder
        return root / f"q-{quote(queue, safe='')}"


WAIT_SECONDS = 0.3


class Transport(virtual.Transport):  # type: ignore[misc]  # kombu has no types
    """Options: `folder` (created if missing), `polling_interval` in seconds."""

    Channel = Channel
    driver_type = driver_name = "files"
    connection_errors = (*base.Transport.connection_errors, OSError)
    implements = base.Transport.implements.extend(
        asynchronous=False, exchange_type=frozenset({"direct"}), heartbeats=False
    )

    @property
    def default_connection_params(self) -> dict[str, Any]:
        """There is no host and no port."""
        return {}

    @property
    def folder(self) -> Path:
        return Path(self.client.transport_options["folder"])

    def establish_connection(self) -> Any:
        """Check that the folder is writable."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=self.folder):
            return super().establish_connection()

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        """Wait for less than requested: a Celery worker waits for 2 s, and sees its stop signal only in between."""
        super().drain_events(connection, min(timeout or WAIT_SECONDS, WAIT_SECONDS))

    def driver_version(self) -> str:
        return "1"


def _take(path: Path) -> bytes | None:
    """Return a message's bytes if we get it, None if another process was faster."""
    try:
        text = path.read_bytes()
        path.unlink()
    except (FileNotFoundError, PermissionError):  # the latter on Windows, while another process reads it
        return None
    return text
