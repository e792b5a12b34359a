"""Writes ended jobs to the archive, and deletes old ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, tuple_

from cto_worker.archive.compression import packed
from cto_worker.archive.database import POSTGRESQL, insertion
from cto_worker.archive.job_totals import add_to_totals, subtract_from_totals
from cto_worker.archive.schema_version import write_transaction
from cto_worker.archive.tables import DOCUMENTS, JOBS, SIGNATURES, WALLETS
from cto_worker.domain.ended_job import recorded_steps, signatures_of, wallets_of
from cto_worker.domain.job_summary import figures_of
from cto_worker.domain.lamports import to_lamports
from cto_worker.domain.progress_event import dumps
from cto_worker.domain.purchase_outcome import outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Engine, Table

    from cto_worker.domain.ended_job import EndedJob

DELETED_AT_ONCE = 1_000  # jobs per transaction
_Rows = list[dict[str, Any]]


def archive(engine: Engine, jobs: Sequence[EndedJob]) -> set[str]:
    """Write jobs in one transaction, and return when it is on disk. Returns the ids of the archived jobs.

    An archived job is not changed. The result lacks a job only if the archive has another job with its id.
    Raises :class:`ArchiveUnavailableError`. No job was then written, unless only the answer to the commit was
    lost.
    """
    # All processes write in the same order, so that two of them cannot block each other.
    rows = [_Row.of(job) for job in sorted(jobs, key=lambda job: job.job_id)]
    with write_transaction(engine) as connection:
        new = _insert(connection, JOBS, [row.job for row in rows])
        added = [row for row in rows if row.job["job_id"] in new]
        _insert(connection, DOCUMENTS, [row.documents for row in added])
        _insert(connection, WALLETS, [wallet for row in added for wallet in row.wallets])
        _insert(connection, SIGNATURES, [signature for row in added for signature in row.signatures])
        add_to_totals(connection, [row.job for row in added])
        return new | _known(connection, [row.job for row in rows if row.job["job_id"] not in new])


def delete_ended_before(engine: Engine, ended_ms: int) -> int:
    """Delete up to :data:`DELETED_AT_ONCE` jobs that ended before a time. Returns their number.

    Raises :class:`ArchiveUnavailableError`.
    """
    old = select(JOBS.c.job_id).where(JOBS.c.ended_ms < ended_ms).order_by(JOBS.c.ended_ms)
    with write_transaction(engine) as connection:
        batch = old.limit(DELETED_AT_ONCE)
        if engine.dialect.name == POSTGRESQL:
            batch = batch.with_for_update(skip_locked=True)  # several processes delete different jobs
        deletion = delete(JOBS).where(JOBS.c.job_id.in_(batch)).returning(*JOBS.columns)
        deleted = [dict(job) for job in connection.execute(deletion).mappings()]
        subtract_from_totals(connection, deleted)
    return len(deleted)


@dataclass(frozen=True, slots=True)
class _Row:
    """The rows of one job, by table."""

    job: dict[str, Any]
    documents: dict[str, Any]
    wallets: _Rows
    signatures: _Rows

    @classmethod
    def of(cls, job: EndedJob) -> _Row:
        last, key = job.events[-1], {"job_id": job.job_id}
        return cls(
            job=_columns(job, json.loads(last)),
            documents={
                **key,
                "request": packed(job.request),
                "earlier_events": packed(b"[" + b",".join(job.events[:-1]) + b"]"),
                "last_event": packed(last),
                "result": packed(job.result),
                "intents": packed(_intents(job)),
            },
            wallets=[
                {"wallet": wallet, "created_ms": job.created_ms, **key}
                for wallet in _sorted(wallets_of(job.request, job.intents))
            ],
            signatures=[
                {"signature": signature, **key} for signature in _sorted(signatures_of(last, job.intents))
            ],
        )


def _columns(job: EndedJob, event: dict[str, Any]) -> dict[str, Any]:
    details = event.get("details", {})
    outcome, figures = outcome_of(event), figures_of(event, recorded_steps(job.intents))
    return {
        "job_id": job.job_id,
        "user_id": _text(event["userId"]),
        "token_address": _text(event["tokenAddress"]),
        "mode": event["mode"],
        "platform": _text(event["platform"]),
        "status": event["status"],
        "outcome": outcome.value if outcome else None,
        "error_code": _text(details["errorCode"]) if "errorCode" in details else None,
        "buy_lamports": to_lamports(event["buyAmount"]),
        "spent_lamports": figures.spent_lamports,
        "successful_buys": figures.successful_buys,
        "failed_buys": figures.failed_buys,
        "created_ms": job.created_ms,
        "ended_ms": event["timestamp"],
    }


def _intents(job: EndedJob) -> bytes:
    """Return the fields of the intent log as one object. Each value is JSON already."""
    return b"{" + b",".join(dumps(name) + b":" + text for name, text in job.intents.items()) + b"}"


def _insert(connection: Connection, table: Table, rows: _Rows) -> set[str]:
    """Insert the rows that the table does not have. Returns the ids of their jobs."""
    if not rows:
        return set()
    statement = insertion(connection, table).on_conflict_do_nothing().returning(table.c.job_id)
    return set(connection.scalars(statement, rows))


def _known(connection: Connection, jobs: _Rows) -> set[str]:
    """Return the ids of the jobs that the archive has. A different time of creation means another job."""
    created = tuple_(JOBS.c.job_id, JOBS.c.created_ms)
    wanted = [(job["job_id"], job["created_ms"]) for job in jobs]
    return set(connection.scalars(select(JOBS.c.job_id).where(created.in_(wanted)))) if wanted else set()


def _sorted(texts: Iterable[str]) -> list[str]:
    return sorted({_text(text) for text in texts})


def _text(value: str) -> str:
    """Return a text that every database accepts: PostgreSQL refuses the zero character."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
