"""Host names: of servers, and in the ``Host`` header of an HTTP request (RFC 9110, section 7.2)."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{0,5})?")


@lru_cache(maxsize=64)  # called for every request, mostly with the same value
def host_name(host: str) -> str:
    """Return the name in a ``Host`` header, in lower case, without the port; empty if it is not valid."""
    match = _HOST.fullmatch(host.lower())
    return match["name"] if match else ""


def as_host_name(address: str) -> str:
    """Return a server's address in the form of a ``Host`` header: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address.lower()


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server that listens at ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
