"""The audit log's latest entries, in a stream of the store. The archive has all older entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cto_worker.domain.audit_entry import AuditEntry
from cto_worker.store import keys
from cto_worker.store.script_runner import Script, run_durably

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from cto_worker.domain.audit_entry import Change

_BATCH = 500  # entries per round trip


def append(store: Redis, change: Change, replicas: int) -> int:
    """Append a change, and return its number when it is on disk, also on ``replicas`` replicas.

    For changes outside the store; the scripts that change a job append theirs in the same step. Raises a
    ``RedisError`` or :class:`NotDurableError`; the change must then not be made.
    """
    number = run_durably(store, Script(store, "audit"), replicas, change=change.encode())
    return int(number)


def newest_first(store: Redis) -> Iterator[AuditEntry]:
    """Yield the entries of the stream, newest first. Raises ``RedisError``."""
    last = "+"
    while entries := _entries(store.xrevrange(keys.AUDIT, last, "-", count=_BATCH)):
        yield from entries
        last = f"({entries[-1].number}-0"


def oldest(store: Redis, after: int = 0, count: int = _BATCH) -> list[AuditEntry]:
    """Return the oldest entries of the stream with numbers above ``after``. Raises ``RedisError``."""
    return _entries(store.xrange(keys.AUDIT, f"({after}-0", "+", count=count))


def oldest_durable(store: Redis, replicas: int) -> list[AuditEntry]:
    """Return the oldest entries, when they are on disk, also on ``replicas`` replicas.

    The store cannot lose them any more, so it will not give their numbers to others. Raises a ``RedisError``
    or :class:`NotDurableError`.
    """
    rows = run_durably(store, Script(store, "audit_oldest"), replicas, count=_BATCH)
    return _entries((entry_id, dict(zip(*[iter(fields)] * 2, strict=True))) for entry_id, fields in rows)


def head(store: Redis) -> tuple[int, str]:
    """Return number and hash of the last entry that was ever appended; 0 and "" before the first."""
    values: Any = store.hmget(keys.AUDIT_HEAD, "number", "hash")
    number, digest = values
    return int(number or 0), (digest or b"").decode()


def trim(store: Redis, archived: int) -> None:
    """Remove the entries up to the number ``archived`` from the stream. Raises ``RedisError``."""
    store.xtrim(keys.AUDIT, minid=f"{archived + 1}-0", approximate=False)


def continue_from(store: Redis, number: int, digest: str) -> bool:
    """Continue the chain after an entry of the archive, if the store's last entry is older.

    A store that was restored or replaced has lost its latest entries, but the archive has them. Returns
    whether the store had lost any.
    """
    return bool(Script(store, "audit_continue")(number=number, hash=digest))


@dataclass(frozen=True, slots=True)
class AuditBacklog:
    """The entries that wait for the archive."""

    entries: int
    oldest_s: float  # age of the oldest; 0 without one, or if its time was made unreadable


def backlog(head: bytes | None, oldest: list[Any], now_s: float) -> AuditBacklog:
    """Return the backlog, from the number of the last entry and a list with the oldest row of the stream."""
    if not oldest:
        return AuditBacklog(0, 0.0)
    (entry,) = _entries(oldest)
    try:
        age_s = now_s - entry.fields["at"] / 1_000
    except (ValueError, TypeError, KeyError):  # somebody has modified the entry
        age_s = 0.0
    return AuditBacklog(max(1, int(head or 0) - entry.number + 1), max(0.0, age_s))


def _entries(rows: Any) -> list[AuditEntry]:
    return [
        AuditEntry(
            int(entry_id.partition(b"-")[0]),
            fields.get(b"content", b"").decode(errors="replace"),
            fields.get(b"previous", b"").decode(errors="replace"),
            fields.get(b"hash", b"").decode(errors="replace"),
        )
        for entry_id, fields in rows
    ]
