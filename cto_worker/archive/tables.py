"""The archive's tables. Amounts are in lamports, times in milliseconds since the Unix epoch.

Pages are read newest first, by ``(created_ms, job_id)``, so each filter has an index that ends with both.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

METADATA = MetaData()

# Job ids are compared byte by byte, as in the store and in Python, whatever the database's locale.
Text = String().with_variant(String(collation="C"), "postgresql")

JOBS = Table(
    "jobs",
    METADATA,
    Column("job_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("token_address", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("outcome", Text),  # null: an earlier release ended the job without counts
    Column("error_code", Text),
    Column("buy_lamports", BigInteger, nullable=False),
    Column("spent_lamports", BigInteger, nullable=False),
    Column("successful_buys", Integer, nullable=False),
    Column("failed_buys", Integer, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False),
    Index("jobs_by_creation", "created_ms", "job_id"),
    Index("jobs_by_end", "ended_ms"),  # for retention
    # The list that users filter most: their own jobs of one status.
    Index("jobs_by_user_id_and_status", "user_id", "status", "created_ms", "job_id"),
    *(
        Index(f"jobs_by_{name}", name, "created_ms", "job_id")
        for name in ("user_id", "token_address", "mode", "platform", "status", "outcome", "error_code")
    ),
)

DOCUMENTS = Table(
    "job_documents",
    METADATA,
    Column("job_id", Text, ForeignKey(JOBS.c.job_id, ondelete="CASCADE"), primary_key=True),
    # All are JSON, compressed by :mod:`cto_worker.archive.compression`.
    Column("request", LargeBinary, nullable=False),
    Column("earlier_events", LargeBinary, nullable=False),  # array of all events but the last, oldest first
    Column("last_event", LargeBinary, nullable=False),  # separate, because lists contain only this one
    Column("result", LargeBinary, nullable=False),
    Column("intents", LargeBinary, nullable=False),  # object: the fields of the intent log
)

WALLETS = Table(
    "job_wallets",
    METADATA,
    Column("wallet", Text, primary_key=True),
    Column("created_ms", BigInteger, primary_key=True),
    Column("job_id", Text, ForeignKey(JOBS.c.job_id, ondelete="CASCADE"), primary_key=True),
    Index("job_wallets_by_job", "job_id"),
)

SIGNATURES = Table(
    "job_signatures",
    METADATA,
    Column("signature", Text, primary_key=True),
    Column("job_id", Text, ForeignKey(JOBS.c.job_id, ondelete="CASCADE"), primary_key=True),
    Index("job_signatures_by_job", "job_id"),
)

# The audit log. A store that was restored without its latest entries may use their numbers again, so the hash
# is part of the key, and no entry is lost.
AUDIT = Table(
    "audit_entries",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", Text, primary_key=True),
    Column("previous", Text, nullable=False),
    Column("content", Text, nullable=False),  # JSON: what the hash covers; the columns below are copies
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("job_id", Text),
    *(Index(f"audit_by_{name}", name, "number", "hash") for name in ("actor", "action", "job_id")),
)

# The lowest and highest number of the audit log's entries of a day. Entries are listed by number and filtered
# by time. The clocks of their authors differ, so that no index on the time has the order of the list.
AUDIT_DAYS = Table(
    "audit_days",
    METADATA,
    Column("day", BigInteger, primary_key=True, autoincrement=False),  # UTC, days since the Unix epoch
    Column("first_number", BigInteger, nullable=False),
    Column("last_number", BigInteger, nullable=False),
)

# The totals of all jobs, by the time of their creation. Summaries read them instead of the jobs.
TOTAL_NAMES = ("jobs", "successful_buys", "failed_buys", "spent_lamports")


def _totals_by(table: str, unit: str) -> Table:
    """Return a table of totals by a unit of time since the Unix epoch, in UTC."""
    return Table(
        table,
        METADATA,
        Column(unit, Integer, primary_key=True, autoincrement=False),
        *(
            Column(name, Text, primary_key=True)  # the job's value; an empty string for null
            for name in ("status", "outcome", "error_code", "mode", "platform")
        ),
        *(Column(name, BigInteger, nullable=False) for name in TOTAL_NAMES),
    )


DAY_TOTALS = _totals_by("job_totals", "day")
PERIOD_TOTALS = _totals_by("job_period_totals", "period")  # of 32 days, for the summaries of years
