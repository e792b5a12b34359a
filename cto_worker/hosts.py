"""Host names, as the ``Host`` header of an HTTP request gives them (RFC 9110, section 7.2)."""

from __future__ import annotations

import re
from functools import lru_cache

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{0,5})?")


@lru_cache(maxsize=64)  # read with every request, and rarely another one
def host_name(host: str) -> str:
    """Return the name in a ``Host`` header, in lower case and without the port; empty if there is none."""
    match = _HOST.fullmatch(host.lower())
    return match["name"] if match else ""


def as_host_name(address: str) -> str:
    """Return how a ``Host`` header names an address that a server listens on: IPv6 stands in brackets."""
    return f"[{address}]" if ":" in address else address.lower()
