"""Moves the entries of the audit log from the store to the archive, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cto_worker.archive import audit_archive
from cto_worker.store import audit_stream

if TYPE_CHECKING:
    from redis import Redis
    from sqlalchemy import Engine


class AuditArchiver:
    """Moves entries to the archive, in order. Several processes may run: archived entries never change."""

    def __init__(self, store: Redis, engine: Engine, replicas: int) -> None:
        self._store, self._engine, self._replicas = store, engine, replicas
        self._continued = False  # whether the chain of the store is known to continue that of the archive

    def archive_batch(self) -> bool:
        """Move the oldest entries of the store. Returns whether there may be more.

        Raises :class:`ArchiveUnavailableError`, :class:`NotDurableError` or ``RedisError``. The store then
        still has every entry.
        """
        if not self._continued:
            continue_chain(self._store, self._engine)
            self._continued = True
        entries = audit_stream.oldest_durable(self._store, self._replicas)
        if not entries:
            return False
        audit_archive.archive(self._engine, entries)
        audit_stream.trim(self._store, entries[-1].number)
        return True


def continue_chain(store: Redis, engine: Engine) -> None:
    """Make the next entry follow the archive's newest entry, if the store has lost its latest entries.

    That happens after a restore from a backup, and with a new store. Raises
    :class:`ArchiveUnavailableError` or ``RedisError``.
    """
    if last := audit_archive.newest(engine):
        audit_stream.continue_from(store, last.number, last.hash)
