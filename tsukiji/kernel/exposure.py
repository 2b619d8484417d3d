"""Who can reach the service: beyond this machine only with TLS, its own or that of a declared proxy."""

from ipaddress import ip_address

from tsukiji.errors import Invalid
from tsukiji.kernel.settings import ApiSettings


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check(host: str, settings: ApiSettings) -> None:
    """Check that the service may listen on this address.

    Raises:
        Invalid: keys and pictures would cross a network unencrypted, or TLS is declared by half.
    """
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise Invalid("TSUKIJI_API_TLS_CERTIFICATE and TSUKIJI_API_TLS_KEY need each other.", hint="Set both, or none.")
    if is_loopback(host) or settings.tls_key or settings.proxies:
        return
    raise Invalid(
        f"The service would listen on {host} without TLS: keys and pictures would cross the network unencrypted.",
        hint="Listen on 127.0.0.1; or set TSUKIJI_API_TLS_CERTIFICATE and TSUKIJI_API_TLS_KEY; or, if a proxy that "
        "speaks TLS or a private network is in front, name their addresses in TSUKIJI_API_PROXIES.",
    )
