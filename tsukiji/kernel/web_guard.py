"""The guard of connections to addresses that users name: only to hosts that are allowed, only to public addresses.

A name is resolved once, all its addresses are checked, and the connection goes to exactly those, so a resolver that
changes its answer in between gains nothing (DNS rebinding). `Host` and the certificate are those of the name.
OWASP, "Server-Side Request Forgery Prevention"; RFC 6890 for what is public.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import Any, Final

import httpcore2

from tsukiji.errors import UrlNotPublic

ANY: Final = "*"
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


def public_addresses(resolve: Resolve, host: str, port: int) -> Sequence[str]:
    """Return a host's addresses.

    Raises:
        UrlNotPublic: one of them is not on the public internet.
        OSError, UnicodeError: it has none.
    """
    addresses = resolve(host, port)
    if not all(is_public(address) for address in addresses):
        raise UrlNotPublic(f"{host} has an address that is not public.")
    return addresses


def may_ask(host: str, hosts: Iterable[str]) -> bool:
    """Return whether a host is allowed: by name, below `*.name`, or by `*`."""
    name = host.lower().rstrip(".")
    return any(
        allowed == ANY or name == allowed or (allowed.startswith("*.") and name.endswith(allowed[1:]))
        for allowed in map(str.lower, hosts)
    )


def open_pool(
    addresses: Sequence[str], dial: httpcore2.NetworkBackend, trusted: ssl.SSLContext, deadline: float
) -> httpcore2.ConnectionPool:
    """Return connections to these addresses only, all to be finished by `deadline` (of `time.monotonic`).

    For one host only: a connection must not be reused for a name resolved at another time.
    """
    return httpcore2.ConnectionPool(trusted, network_backend=Pinned(addresses, dial, deadline))


def header(response: httpcore2.Response, name: bytes) -> str:
    """Return the first header of this name (lower case); empty if there is none."""
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
