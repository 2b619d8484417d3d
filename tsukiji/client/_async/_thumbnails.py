"""Thumbnails of a data set, for a notebook. A notebook asks for HTML synchronously, so here there are none."""

from tsukiji.client._async._transport import Transport


def thumbnails(transport: Transport, dataset_id: str) -> list[bytes]:
    """Return none; the synchronous client fetches some."""
    del transport, dataset_id
    return []
