"""Which addresses webhooks may be sent to; checked when one is made, and again at every attempt."""

from collections.abc import Sequence

import httpx2

from tsukiji.errors import WebhookUrlNotAllowed
from tsukiji.kernel.web_guard import may_ask


def check_url(url: str, hosts: Sequence[str]) -> httpx2.URL:
    """Return the normalised address.

    Raises:
        WebhookUrlNotAllowed: it is malformed, or its host or port is not allowed.
    """
    try:
        place = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise WebhookUrlNotAllowed(f"{url[:200]!r} is not an address: {error}.") from error
    if place.scheme not in {"http", "https"} or not place.host:
        raise WebhookUrlNotAllowed(f"{url[:200]!r} is neither http://host/path nor https://host/path.")
    if place.userinfo:
        raise WebhookUrlNotAllowed("The address contains a password.", hint="Verify the signature instead.")
    if not may_ask(place.raw_host.decode(), hosts):
        raise WebhookUrlNotAllowed(f"{place.host[:200]!r} is not an allowed host.")
    if place.port is not None and not is_named(place, hosts):
        raise WebhookUrlNotAllowed(f"Port {place.port} of {place.host[:200]!r} is not allowed.")
    return place


def is_named(place: httpx2.URL, hosts: Sequence[str]) -> bool:
    """Is the host written out in the settings? Then it may be private, and have any port."""
    return place.raw_host.decode().lower().rstrip(".") in {host.lower() for host in hosts}
