"""Fills an archive with jobs, many times faster than the archiver, and with the same rows and indexes."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import text

from benchmarks.system import BODY
from cto_worker.archive.compression import packed
from cto_worker.archive.database import POSTGRESQL, update_statistics
from cto_worker.archive.job_totals import DAY_MS, PERIOD_MS
from cto_worker.archive.tables import METADATA
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import dumps, encode
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.testing.in_memory_journal import InMemoryJournal
from cto_worker.testing.in_memory_market import InMemoryMarket

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

STARTED_S = time.monotonic()
BATCH = 50_000  # jobs per transaction
USERS, TOKENS, ERRORS, WALLETS = 1_000, 3_000, 20, 20_000
FIRST_MS, EVERY_MS = 1_700_000_000_000, 31_000  # of jobs: a million in a year

# Rows are made by the database itself. Job ids are in no order, like random ones: 9,999,991 is a prime.
NUMBERS = """
WITH RECURSIVE numbers(n) AS
  (SELECT CAST(:first AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
"""
ID = "CAST(10000000 + n * 7654321 % 9999991 AS TEXT) || '-4000-8000-000000000000'"
ROWS = {
    "jobs": f"""
INSERT INTO jobs (job_id, user_id, token_address, mode, platform, status, outcome, error_code, buy_lamports,
  spent_lamports, successful_buys, failed_buys, created_ms, ended_ms) {NUMBERS}
SELECT {ID}, 'user-' || (n * 31 % {USERS}), 'token-' || (n * 37 % {TOKENS}),
  CASE WHEN n % 3 = 0 THEN 'prefunded' ELSE 'standard' END,
  CASE n % 5 WHEN 0 THEN 'bonk' WHEN 1 THEN 'raydium' ELSE 'pumpfun' END,
  CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'completed' END,
  CASE WHEN n % 10 = 0 THEN 'none' WHEN n % 10 = 1 THEN 'partial' ELSE 'full' END,
  CASE WHEN n % 10 = 0 THEN 'error-' || (n / 10 % {ERRORS}) END,
  500000000, 500030000, 5, 0, {FIRST_MS} + {EVERY_MS} * n, {FIRST_MS} + {EVERY_MS} * n + 2500
FROM numbers""",
    "job_documents": f"""
INSERT INTO job_documents (job_id, request, earlier_events, last_event, result, intents) {NUMBERS}
SELECT {ID}, :request, :earlier_events, :last_event, :result, :intents FROM numbers""",
    "job_wallets": f"""
INSERT INTO job_wallets (wallet, created_ms, job_id) {NUMBERS}
SELECT 'wallet-' || ((n + w * 7) * 41 % {WALLETS}), {FIRST_MS} + {EVERY_MS} * n, {ID}
FROM numbers, (SELECT 0 AS w UNION ALL SELECT 1) AS both_wallets""",
    "job_signatures": f"""
INSERT INTO job_signatures (signature, job_id) {NUMBERS}
SELECT 'signature-' || (n * 7654321 % 9999991) || '-' || w || '-{"x" * 60}', {ID}
FROM numbers, (SELECT 0 AS w UNION ALL SELECT 1) AS both_signatures""",
}
TOTALS = """
INSERT INTO {table} ({unit}, status, outcome, error_code, mode, platform, jobs, successful_buys, failed_buys,
  spent_lamports)
SELECT created_ms / {unit_ms}, status, outcome, COALESCE(error_code, ''), mode, platform, COUNT(*),
  SUM(successful_buys), SUM(failed_buys), SUM(spent_lamports)
FROM jobs GROUP BY 1, 2, 3, 4, 5, 6"""
UNITS = {"job_totals": ("day", DAY_MS), "job_period_totals": ("period", PERIOD_MS)}
# Settings of the connection that inserts the rows. They change neither rows nor indexes: only a loss of power
# would cost the database.
SQLITE_SETTINGS = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA cache_size = -1000000",  # kB
)
POSTGRESQL_SETTINGS = (
    "SET session_replication_role = replica",  # without checks of foreign keys
    "SET maintenance_work_mem = '512MB'",
    *(f"ALTER TABLE {table.name} SET UNLOGGED" for table in reversed(METADATA.sorted_tables)),
)


def fill(engine: Engine, first: int, size: int) -> None:
    """Add jobs to an archive with ``first`` jobs, until it has ``size``. Prints its progress.

    Indexes are made again at the end, which is faster. Queries then have connections with the product's
    settings.
    """
    engine.dispose()
    with engine.connect() as connection:
        _change_settings(connection)
        with connection.begin():
            indexes = [index for table in METADATA.sorted_tables for index in table.indexes]
            for index in indexes:
                index.drop(connection)
        for start in range(first, size, BATCH):
            _insert(connection, start, min(size, start + BATCH))
            report(f"{min(size, start + BATCH):,} of {size:,} jobs inserted")
        with connection.begin():
            for index in indexes:
                index.create(connection)
            for table, (unit, unit_ms) in UNITS.items():
                connection.execute(text(f"DELETE FROM {table}"))
                connection.execute(text(TOTALS.format(table=table, unit=unit, unit_ms=unit_ms)))
        report("indexes and totals made")
    engine.dispose()
    update_statistics(engine)  # as the archiver does in SQLite
    if engine.dialect.name == POSTGRESQL:  # as its autovacuum does
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
        report("vacuumed")


def report(done: str) -> None:
    """Print a line of progress."""
    print(f"  {time.monotonic() - STARTED_S:.0f} s: {done}", flush=True)


def _change_settings(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    for statement in POSTGRESQL_SETTINGS if connection.dialect.name == POSTGRESQL else SQLITE_SETTINGS:
        driver.execute(statement)
    driver.commit()


def _insert(connection: Connection, start: int, end: int) -> None:
    numbers = {"first": start, "last": end - 1}
    with connection.begin():
        for table, statement in ROWS.items():
            documents = _documents() if table == "job_documents" else {}
            connection.execute(text(statement), numbers | documents)


@cache
def _documents() -> dict[str, bytes]:
    """Return the documents of an operation with one wallet, as the archive stores them."""
    journal, body = InMemoryJournal(lease_ms=60_000), BODY | {"mode": "standard"}
    request = parse_request(body)
    journal.create(accepted_event("j", request), request.to_document())
    result = JobRunner(Journal.of(journal), InMemoryMarket()).run_job("j", body)
    job = journal.jobs["j"]
    *earlier, last = map(encode, job.events)
    log = b",".join(dumps(name) + b":" + record for name, record in job.log.items())
    documents = {
        "request": dumps(request.to_document()),
        "earlier_events": b"[" + b",".join(earlier) + b"]",
        "last_event": last,
        "result": dumps(result),
        "intents": b"{" + log + b"}",
    }
    return {name: packed(document) for name, document in documents.items()}
