"""The pages of the audit log, which are read from the store and the archive together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cto_worker.store import audit_stream

if TYPE_CHECKING:
    from redis import Redis

    from cto_worker.domain.audit_entry import AuditEntry, AuditFilter, AuditPosition


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

    The store is read first. An entry that is moved between the two reads is therefore found twice, not
    missed; one copy is left out. Raises a ``RedisError``, and :class:`ArchiveUnavailableError` if the page
    needs the archive.
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
