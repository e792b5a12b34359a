"""The URL of the store: ``redis://``, ``rediss://``, or ``redis+sentinel://``.

A Sentinel URL contains the Sentinels, their name for the store, and the database:
``redis+sentinel://user:password@host1:26379,host2:26379,host3:26379/mymaster/0``. User and password belong to
the store. The database, or name and database, may be omitted. https://valkey.io/topics/sentinel/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

SCHEME = "redis+sentinel"
PORT = 26_379  # of a Sentinel, if the URL has no port

_ADDRESS = re.compile(
    rf"{re.escape(SCHEME)}://(?:(?P<user>[^:@/]*):(?P<password>[^@/]*)@)?"
    r"(?P<hosts>[\w.-]+(?::\d{1,5})?(?:,[\w.-]+(?::\d{1,5})?)*)(?:/(?P<primary>[\w.-]+)(?:/(?P<db>\d+))?)?\Z"
)


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


def parse(url: str, own_password: str = "") -> Sentinels | None:
    """Return the parts of a Sentinel URL; ``None`` for another scheme. Raises ``ValueError``."""
    if not url.startswith(f"{SCHEME}:"):
        return None
    found = _ADDRESS.match(url)
    if not found:
        raise ValueError(
            f"malformed Sentinel URL: write it like {SCHEME}://host1:26379,host2:26379,host3:26379/mymaster/0"
        )
    hosts = (host.partition(":") for host in found["hosts"].split(","))
    return Sentinels(
        hosts=tuple((name, int(port or PORT)) for name, _, port in hosts),
        primary=found["primary"] or "mymaster",
        db=int(found["db"] or 0),
        username=unquote(found["user"] or ""),
        password=unquote(found["password"] or ""),
        own_password=own_password,
    )
