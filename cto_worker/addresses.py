"""Addresses: names of servers, also in the ``Host`` header (RFC 9110, section 7.2), and the store's URL.

The store's URL is ``redis://``, ``rediss://``, or ``redis+sentinel://``. A Sentinel URL contains the
Sentinels, their name for the store, and the database:
``redis+sentinel://user:password@host1:26379,host2:26379,host3:26379/mymaster/0``. User and password belong to
the store. The database, or name and database, may be omitted. https://valkey.io/topics/sentinel/
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
SENTINEL_SCHEME = "redis+sentinel"
SENTINEL_PORT = 26_379  # of a Sentinel, if the URL has no port

_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{0,5})?")
_SENTINEL_URL = re.compile(
    rf"{re.escape(SENTINEL_SCHEME)}://(?:(?P<user>[^:@/]*):(?P<password>[^@/]*)@)?"
    r"(?P<hosts>[\w.-]+(?::\d{1,5})?(?:,[\w.-]+(?::\d{1,5})?)*)(?:/(?P<primary>[\w.-]+)(?:/(?P<db>\d+))?)?\Z"
)


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


@dataclass(frozen=True, slots=True)
class Sentinels:
    """The Sentinels of a store, and the store's name, database and credentials."""

    hosts: tuple[tuple[str, int], ...]
    primary: str  # the Sentinels' name for the store
    db: int
    username: str
    password: str
    own_password: str  # of the Sentinels

    @property
    def celery_url(self) -> str:
        """The URL for Celery's broker and result backend."""
        login = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        return ";".join(f"sentinel://{login}{host}:{port}/{self.db}" for host, port in self.hosts)


def parse_sentinel_url(url: str, own_password: str = "") -> Sentinels | None:
    """Return the parts of a Sentinel URL; ``None`` for another scheme. Raises ``ValueError``."""
    if not url.startswith(f"{SENTINEL_SCHEME}:"):
        return None
    found = _SENTINEL_URL.match(url)
    if not found:
        raise ValueError(
            f"malformed Sentinel URL: write it like {SENTINEL_SCHEME}://host1:26379,host2:26379,host3:26379/mymaster/0"
        )
    hosts = (host.partition(":") for host in found["hosts"].split(","))
    return Sentinels(
        hosts=tuple((name, int(port or SENTINEL_PORT)) for name, _, port in hosts),
        primary=found["primary"] or "mymaster",
        db=int(found["db"] or 0),
        username=unquote(found["user"] or ""),
        password=unquote(found["password"] or ""),
        own_password=own_password,
    )
