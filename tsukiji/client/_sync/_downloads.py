# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""Saves a response of any length to disk, atomically."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tsukiji.client._sync._transport import Transport


def save(
    transport: Transport, path: str, target: Path, content_type: str, params: Mapping[str, Any] | None = None
) -> Path:
    """Stream the content of `path` into `target`, which appears once complete.

    Raises:
        OSError: `target` cannot be written.
        APIError: the service refused the request, or the connection broke.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        with transport.stream("GET", path, params=params or {}, headers={"Accept": content_type}) as response:
            with part.open("wb") as file:
                for piece in response.iter_bytes():
                    file.write(piece)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target
