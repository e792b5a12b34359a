"""The audit log as a whole: its entries move from the store to the archive, and both are read together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cto_worker.archive import audit_archive
from cto_worker.store import audit_stream

if TYPE_CHECKING:
    from redis import Redis
    from sqlalchemy import Engine

    from cto_worker.domain.audit_entry import AuditEntry, AuditFilter, AuditPosition


class AuditArchiver:
    """Moves entries to the archive, in order. Several may run: an entry that exists stays as it is."""

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
    """Let the next entry follow the archive's newest one, if the store has lost its latest entries.

    That is so after a restore from a backup, and with a new store. Raises :class:`ArchiveUnavailableError` or
    ``RedisError``.
    """
    if last := audit_archive.newest(engine):
        audit_stream.continue_from(store, last.number, last.hash)


class AuditPages(Protocol):
    """The archive's pages of the audit log."""

    def audit_page(self, wanted: AuditFilter, limit: int, after: AuditPosition | None, /) -> list[AuditEntry]:
        """See :func:`cto_worker.archive.audit_archive.page`."""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of the audit log."""

    entries: list[AuditEntry]  # newest first
    next_after: AuditPosition | None  # where the next page starts; ``None`` on the last page


def page(
    store: Redis, archive: AuditPages, wanted: AuditFilter, limit: int, after: AuditPosition | None = None
) -> AuditPage:
    """Return the newest ``limit`` entries that match, or those that follow ``after`` in the list.

    The store is read first, so an entry that is moved between the two reads is found twice rather than never;
    one copy is left out. Raises a ``RedisError``, and :class:`ArchiveUnavailableError` if the page needs the
    archive.
    """
    found: dict[AuditPosition, AuditEntry] = {}
    for entry in audit_stream.newest_first(store):
        if len(found) > limit:
            break
        if (after is None or entry.position < after) and wanted.matches(entry):
            found[entry.position] = entry
    if len(found) <= limit:
        found |= {entry.position: entry for entry in archive.audit_page(wanted, limit + 1, after)}
    entries = [found[position] for position in sorted(found, reverse=True)]
    return AuditPage(entries[:limit], entries[limit - 1].position if len(entries) > limit else None)
