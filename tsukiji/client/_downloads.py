"""Save an answer of any length to disk: whole, or not at all."""

from pathlib import Path

from tsukiji.client._transport import Transport


def save(transport: Transport, path: str, target: Path, content_type: str) -> Path:
    """Stream what is at `path` into `target`, which appears once it is complete.

    Raises:
        OSError: `target` cannot be written.
        APIError: the service refused, or the line broke.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        with transport.stream("GET", path, headers={"Accept": content_type}) as response, part.open("wb") as file:
            for piece in response.iter_bytes():
                file.write(piece)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target
