"""A few thumbnails of a data set, for a notebook."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from tsukiji.client._base import path
from tsukiji.client._exceptions import APIError
from tsukiji.client._sync._transport import Transport

SHOWN: Final = 8
SECONDS: Final = 5.0


def thumbnails(transport: Transport, dataset_id: str) -> list[bytes]:
    """Fetch up to 8, those that come within a moment; a repr does not fail where the service is away."""

    def fetch(image_id: str) -> bytes:
        place = path("images", image_id, "content")
        with suppress(APIError):
            return transport.request("GET", place, params={"variant": "thumb"}, timeout=SECONDS, max_retries=0).content
        return b""

    with suppress(APIError):
        place, asked = path("datasets", dataset_id, "images"), {"limit": SHOWN}
        page = transport.request("GET", place, params=asked, timeout=SECONDS, max_retries=0).json()
        with ThreadPoolExecutor(SHOWN) as pool:
            return list(pool.map(fetch, [image["id"] for image in page["data"]]))
    return []
