"""Saves a response of any length to disk, atomically."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tsukiji.client._async._transport import Transport


async def save(
    transport: Transport, path: str, target: Path, content_type: str, params: Mapping[str, Any] | None = None
) -> Path:
    """Stream the content of `path` into `target`, which appears once complete.

    Raises:
        OSError: `target` cannot be written.
        APIError: the service refused the request, or the connection broke.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        async with transport.stream("GET", path, params=params or {}, headers={"Accept": content_type}) as response:
            with part.open("wb") as file:
                async for piece in response.aiter_bytes():
                    file.write(piece)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target
