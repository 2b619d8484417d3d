"""Fetches one picture by its web address: only from allowed hosts, only at public addresses."""

import re
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import httpcore2
import httpx2

from tsukiji.errors import ImageTooManyBytes, NotAnImage, UrlNotAllowed, UrlRedirected, UrlUnreachable
from tsukiji.ingest.archives import Entry
from tsukiji.ingest.sources.source import Source
from tsukiji.kernel.web_guard import Resolve, header, may_ask, open_pool, public_addresses, resolve

SCHEMES: Final = frozenset({"http", "https"})
HOPS: Final = 3
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
PICTURES: Final = re.compile(r"image/|application/octet-stream|binary/octet-stream|$")
HEADERS: Final = [(b"Accept", b"image/*"), (b"Accept-Encoding", b"identity"), (b"User-Agent", b"tsukiji")]


@dataclass(frozen=True)
class Web:
    """Fetches from hosts allowed by `TSUKIJI_SOURCES_HOSTS`."""

    hosts: Sequence[str]
    seconds: float
    """Time limit for one picture, from resolving its name to its last byte."""
    resolve: Resolve = resolve
    dial: httpcore2.NetworkBackend = field(default_factory=httpcore2.SyncBackend)
    certificates: ssl.SSLContext | None = None
    """Trusted authorities; None: `httpx2`'s default."""

    def open(self, url: str) -> "WebSource":
        """Return the picture at `url` without connecting yet.

        Raises:
            UrlNotAllowed
        """
        return WebSource(self, url, self.check(url))

    def check(self, url: str) -> httpx2.URL:
        """Return the normalised address.

        Raises:
            UrlNotAllowed: it is malformed, or its host is not allowed.
        """
        try:
            place = httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise UrlNotAllowed(f"{url[:200]!r} is not an address: {error}.", hint="Use https://host/path.") from error
        if place.scheme not in SCHEMES or not place.host:
            raise UrlNotAllowed(
                f"{url[:200]!r} starts with neither http:// nor https://.", hint="Use https://host/path."
            )
        if place.userinfo or place.port is not None:
            raise UrlNotAllowed(
                f"{place.host[:200]!r} may only be used with its default port and without a password.",
                hint="Remove user, password and port from the address.",
            )
        if not may_ask(place.raw_host.decode(), self.hosts):
            raise UrlNotAllowed(f"{place.host[:200]!r} is not an allowed host.")
        return place

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        return self.certificates or httpx2.create_ssl_context()

    def fetch(self, place: httpx2.URL, max_bytes: int) -> bytes:
        """Return the bytes of a picture.

        Raises:
            UrlNotAllowed, UrlNotPublic, UrlRedirected, UrlUnreachable
            NotAnImage: the server declares another content type.
            ImageTooManyBytes
        """
        deadline = time.monotonic() + self.seconds
        for _ in range(HOPS + 1):
            with self._asked(place, deadline) as response:
                if response.status not in REDIRECTS:
                    return take(response, place.host, max_bytes)
                place = self._next(place, header(response, b"location"))
        raise UrlRedirected(f"{place.host} redirects more than {HOPS} times.")

    @contextmanager
    def _asked(self, place: httpx2.URL, deadline: float) -> Iterator[httpcore2.Response]:
        port = 443 if place.scheme == "https" else 80
        try:
            addresses = public_addresses(self.resolve, place.raw_host.decode(), port)
            url = httpcore2.URL(scheme=place.raw_scheme, host=place.raw_host, port=port, target=place.raw_path)
            with (
                open_pool(addresses, self.dial, self._trusted, deadline) as pool,
                pool.stream("GET", url, headers=HEADERS) as response,
            ):
                yield response
        except httpcore2.TimeoutException as error:
            raise UrlUnreachable(f"{place.host} took more than {self.seconds:g} s.") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError, UnicodeError) as error:
            raise UrlUnreachable(f"{place.host} did not answer: {error}.") from error

    def _next(self, place: httpx2.URL, location: str) -> httpx2.URL:
        """Return a redirect's target if it has the same host and is no less secure; its name is resolved again."""
        try:
            following = place.join(location)
        except httpx2.InvalidURL as error:
            raise UrlRedirected(f"{place.host} redirects to {location[:200]!r}.") from error
        if following.host != place.host or (place.scheme == "https" and following.scheme != "https"):
            raise UrlRedirected(f"{place.host} redirects to {location[:200]!r}.")
        return self.check(str(following))


@dataclass(frozen=True)
class WebSource(Source):
    web: Web
    url: str
    place: httpx2.URL

    def entries(self, max_bytes: int, after: str | None = None) -> Iterator[Entry]:
        raise UrlNotAllowed(f"{self.url[:200]!r} is not a folder.", hint="Name the pictures one by one, in a table.")

    def read(self, max_bytes: int) -> bytes:
        return self.web.fetch(self.place, max_bytes)


def take(response: httpcore2.Response, host: str, max_bytes: int) -> bytes:
    if response.status != 200:
        raise UrlUnreachable(f"{host} answered {response.status}.", status=response.status)
    kind, length = header(response, b"content-type"), header(response, b"content-length")
    if not PICTURES.match(kind.strip().lower()):
        raise NotAnImage(f"{host} says that the content is {kind[:100]!r}.")
    if length.isdecimal() and int(length) > max_bytes:
        raise ImageTooManyBytes(f"{int(length):,} bytes; at most {max_bytes:,} are allowed.")
    data = bytearray()
    for piece in response.iter_stream():
        data += piece
        if len(data) > max_bytes:
            raise ImageTooManyBytes(f"More than {max_bytes:,} bytes.")
    return bytes(data)
