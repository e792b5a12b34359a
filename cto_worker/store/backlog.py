"""The backlog: the unfinished work of the whole system."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backlog:
    """The unfinished work of the whole system, and the state of the store."""

    jobs: dict[str, int]  # jobs by status: waiting, active, and needs_review
    messages: dict[str, int]  # queued messages by queue
    accepted: int  # jobs accepted since the store was created
    unarchived: int  # ended jobs that are to be archived
    archived_s: int  # Unix time when jobs were last archived; 0: never
    audit_entries: int  # entries of the audit log that are to be archived
    oldest_audit_entry_s: float  # age of the oldest of them; 0 without one
    oldest_waiting_s: float  # age of the oldest waiting job; 0 without a waiting job
    oldest_waiting: str | None  # its id
    memory_bytes: int  # memory that the store uses
    memory_limit_bytes: int  # at this limit the store refuses writes
    snapshot_s: int  # Unix time of the store's last snapshot, or of its start
