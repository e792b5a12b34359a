"""A store that Sentinels watch over: they say which server is the primary, and choose another when it dies.

Its address names the Sentinels, the name under which they know the store, and the database:
``redis+sentinel://user:password@host1:26379,host2:26379,host3:26379/mymaster/0``. User and password are the
store's; what follows the Sentinels may be left out from the right. https://valkey.io/topics/sentinel/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from redis.backoff import NoBackoff
from redis.connection import BlockingConnectionPool
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection

if TYPE_CHECKING:
    from redis import ConnectionPool

SCHEME = "redis+sentinel"
ASK_TIMEOUT_S = 0.5  # a Sentinel that does not answer by then is passed over for the next
ASKING_AT_ONCE = 3_000  # after a failover every thread asks at once, and none of them may be turned away
PORT = 26_379
_ADDRESS = re.compile(
    rf"{re.escape(SCHEME)}://(?:(?P<user>[^:@/]*):(?P<password>[^@/]*)@)?"
    r"(?P<hosts>[\w.-]+(?::\d{1,5})?(?:,[\w.-]+(?::\d{1,5})?)*)(?:/(?P<primary>[\w.-]+)(?:/(?P<db>\d+))?)?\Z"
)


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Where they are, and what they are asked for."""

    hosts: tuple[tuple[str, int], ...]
    primary: str  # the name under which they know the store
    db: int
    username: str
    password: str
    own_password: str  # of the Sentinels themselves

    @property
    def celery_url(self) -> str:
        """The address as Celery takes it, for broker and results alike."""
        login = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        return ";".join(f"sentinel://{login}{host}:{port}/{self.db}" for host, port in self.hosts)

    @property
    def asking(self) -> dict[str, Any]:
        """How to reach a Sentinel, as redis-py takes it."""
        return {
            "socket_timeout": ASK_TIMEOUT_S,
            "socket_connect_timeout": ASK_TIMEOUT_S,
            "password": self.own_password or None,
            "max_connections": ASKING_AT_ONCE,
            # By default redis-py asks ten more times, which takes longer than anybody here waits.
            "retry": Retry(NoBackoff(), 0),
        }

    def pool(self, **options: Any) -> ConnectionPool:
        """Return a pool of connections to whichever server is the primary. ``options`` are redis-py's."""
        login = {"username": self.username or None, "password": self.password or None}
        manager = Sentinel(self.hosts, sentinel_kwargs=self.asking)
        options |= {"connection_class": _Connection, "db": self.db}
        return _Pool(self.primary, manager, **login, **options)  # type: ignore[no-untyped-call]


class _Connection(SentinelManagedConnection):
    """redis-py's connection to a primary, without two of its faults."""

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002
        """Send, to whichever is the primary now; redis-py goes back to where it was connected last."""
        if not self._sock:
            self.connect()  # type: ignore[no-untyped-call]
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def read_response(
        self,
        disable_decoding: Any = False,  # noqa: FBT002 - redis-py's
        *,
        disconnect_on_error: bool | None = True,
        **options: Any,
    ) -> Any:
        """Read, and give the connection up if no answer comes.

        redis-py goes on with it: whatever it is asked next may get the answer that was given up
        (https://github.com/redis/redis-py/pull/4292).
        """
        return super().read_response(disable_decoding, disconnect_on_error=disconnect_on_error, **options)


class _Pool(SentinelConnectionPool, BlockingConnectionPool):
    """redis-py's pool for Sentinels, which waits for a connection where that would raise at once."""


def parse(url: str, own_password: str = "") -> Sentinels | None:
    """Return what an address says; ``None`` when it is none of Sentinels. Raises ``ValueError``."""
    if not url.startswith(f"{SCHEME}:"):
        return None
    found = _ADDRESS.match(url)
    if not found:
        raise ValueError(f"not like {SCHEME}://host1:26379,host2:26379,host3:26379/mymaster/0")
    hosts = (host.partition(":") for host in found["hosts"].split(","))
    return Sentinels(
        hosts=tuple((name, int(port or PORT)) for name, _, port in hosts),
        primary=found["primary"] or "mymaster",
        db=int(found["db"] or 0),
        username=unquote(found["user"] or ""),
        password=unquote(found["password"] or ""),
        own_password=own_password,
    )
