"""The part of a client's address that limits by address count: IPv4 addresses, and /64 networks of IPv6."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_network

# Some proxies append the port.
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\](:\d+)?\Z|(?P<v4>\d+(\.\d+){3}):\d+\Z")


@lru_cache(maxsize=4_096)
def network_of(address: str) -> str:
    """Return an IPv4 address, or the /64 network of an IPv6 one: one client may choose any address in it.

    An IPv4 address that is mapped into IPv6 (``::ffff:192.0.2.1``) is returned as IPv4. A port is removed.
    Text that is not an address is returned unchanged.
    """
    if found := _WITH_PORT.match(address):
        address = found["v6"] or found["v4"]
    if ":" not in address:
        return address
    try:
        ip = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))


def caller_of(address: str) -> str:
    """Return the name of the caller of a request without a user: its address, or network."""
    return f"address:{network_of(address)}"
