"""Fetches one picture by its web address: only from allowed hosts, only at public addresses.

A name is resolved once, all its addresses are checked, and the connection goes to exactly those, so a resolver that
changes its answer in between gains nothing (DNS rebinding). `Host` and the certificate are those of the name.
OWASP, "Server-Side Request Forgery Prevention"; RFC 6890 for what is public.
"""

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import Any, Final

import httpcore2
import httpx2

from tsukiji.errors import ImageTooManyBytes, NotAnImage, UrlNotAllowed, UrlNotPublic, UrlRedirected, UrlUnreachable
from tsukiji.ingest.archives import Entry
from tsukiji.ingest.sources.source import Source

SCHEMES: Final = frozenset({"http", "https"})
ANY: Final = "*"
HOPS: Final = 3
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
PICTURES: Final = re.compile(r"image/|application/octet-stream|binary/octet-stream|$")
HEADERS: Final = [(b"Accept", b"image/*"), (b"Accept-Encoding", b"identity"), (b"User-Agent", b"tsukiji")]
NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: how networks without IPv4 reach it
SPECIAL_V4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by customers of a provider
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, where clouds keep their metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4, withdrawn
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
GLOBAL_V6: Final = IPv6Network("2000::/3")  # all allocated unicast addresses; the rest is local, mapped or reserved
SPECIAL_V6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocols: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which hides an IPv4 address
        "3fff::/20",  # documentation
    )
)
"""IANA's registries of special addresses (RFC 6890), as far as they are not globally reachable."""

Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host from the system's resolver.

    Raises:
        OSError, UnicodeError: it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Return whether an IP address is on the public internet, and embeds none that is not.

    Uses our own tables: `ipaddress.is_global` differs between Python versions.
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in SPECIAL_V4)
    if ip in NAT64:
        return is_public(str(IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip in GLOBAL_V6 and not any(ip in network for network in SPECIAL_V6)


def may_ask(host: str, hosts: Iterable[str]) -> bool:
    """Return whether a host is allowed: by name, below `*.name`, or by `*`."""
    name = host.lower().rstrip(".")
    return any(
        allowed == ANY or name == allowed or (allowed.startswith("*.") and name.endswith(allowed[1:]))
        for allowed in map(str.lower, hosts)
    )


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
            addresses = self._public_addresses(place, port)
            backend = Pinned(addresses, self.dial, deadline)
            url = httpcore2.URL(scheme=place.raw_scheme, host=place.raw_host, port=port, target=place.raw_path)
            # A separate pool: a connection must not be reused for a name resolved at another time.
            with (
                httpcore2.ConnectionPool(self._trusted, network_backend=backend) as pool,
                pool.stream("GET", url, headers=HEADERS) as response,
            ):
                yield response
        except httpcore2.TimeoutException as error:
            raise UrlUnreachable(f"{place.host} took more than {self.seconds:g} s.") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError, UnicodeError) as error:
            raise UrlUnreachable(f"{place.host} did not answer: {error}.") from error

    def _public_addresses(self, place: httpx2.URL, port: int) -> Sequence[str]:
        addresses = self.resolve(place.raw_host.decode(), port)
        if not all(is_public(address) for address in addresses):
            raise UrlNotPublic(f"{place.host} has an address that is not public.")
        return addresses

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

    def entries(self, max_bytes: int) -> Iterator[Entry]:
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


def header(response: httpcore2.Response, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), "")


class Pinned(httpcore2.NetworkBackend):
    """Connects to checked addresses regardless of the host name, with an overall deadline."""

    def __init__(self, addresses: Sequence[str], dial: httpcore2.NetworkBackend, deadline: float) -> None:
        self._addresses = addresses
        self._dial = dial
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        refused = httpcore2.ConnectError("it has no address")
        for address in self._addresses:
            try:
                return Timed(self._dial.connect_tcp(address, port, left(self._deadline)), self._deadline)
            except httpcore2.ConnectError as error:
                refused = error
        raise refused


class Timed(httpcore2.NetworkStream):
    """A stream with an overall deadline, so that a server cannot hold it open by sending a byte now and then."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return Timed(self._stream.start_tls(ssl_context, server_hostname, left(self._deadline)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def left(deadline: float) -> float:
    """Return the seconds up to a deadline.

    Raises:
        httpcore2.TimeoutException: it has passed.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore2.TimeoutException
    return seconds
