"""The cost of more archived jobs: response times of every filter, on both databases, and bytes per job."""

from __future__ import annotations

import random
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from support.postgresql import PostgreSQL

from benchmarks.scale.curves import Panel, Study
from benchmarks.system import BODY
from cto_worker.archive.archive_queries import ArchiveQueries
from cto_worker.archive.compression import packed
from cto_worker.archive.database import SQLITE, connect
from cto_worker.archive.job_totals import DAY_MS
from cto_worker.archive.schema_migration import migrate
from cto_worker.archive.tables import METADATA
from cto_worker.config import Settings
from cto_worker.domain.job_filter import JobFilter
from cto_worker.domain.job_summary import JobPosition
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import JobStatus, Mode, dumps, encode
from cto_worker.domain.purchase_outcome import PurchaseOutcome
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.testing.in_memory_journal import InMemoryJournal
from cto_worker.testing.in_memory_market import InMemoryMarket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

JOBS = [1_000, 10_000, 100_000, 1_000_000]
LIMIT = 21  # a page of 20, and one more
PAGES, SUMMARIES = 300, 12  # requests of each kind that are measured
SLOW_S = 5.0  # a summary that takes longer in all is measured less often
USERS, TOKENS, ERRORS, WALLETS = 1_000, 3_000, 20, 20_000
FIRST_MS, EVERY_MS = 1_700_000_000_000, 31_000  # of jobs: a million in a year

# Rows are made by the database itself. Job ids are in no order, like random ones: 9,999,991 is a prime.
NUMBERS = """
WITH RECURSIVE numbers(n) AS
  (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n < :count - 1)
"""
ID = "CAST(10000000 + n * 7654321 % 9999991 AS TEXT) || '-4000-8000-000000000000'"
FILL = {
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
    "job_totals": f"""
INSERT INTO job_totals (day, status, outcome, error_code, mode, platform, jobs, successful_buys, failed_buys,
  spent_lamports)
SELECT created_ms / {DAY_MS}, status, outcome, COALESCE(error_code, ''), mode, platform, COUNT(*),
  SUM(successful_buys), SUM(failed_buys), SUM(spent_lamports)
FROM jobs GROUP BY 1, 2, 3, 4, 5, 6""",
    "job_wallets": f"""
INSERT INTO job_wallets (wallet, created_ms, job_id) {NUMBERS}
SELECT 'wallet-' || ((n + w * 7) * 41 % {WALLETS}), {FIRST_MS} + {EVERY_MS} * n, {ID}
FROM numbers, (SELECT 0 AS w UNION ALL SELECT 1) AS both_wallets""",
    "job_signatures": f"""
INSERT INTO job_signatures (signature, job_id) {NUMBERS}
SELECT 'signature-' || (n * 7654321 % 9999991) || '-' || w || '-{"x" * 60}', {ID}
FROM numbers, (SELECT 0 AS w UNION ALL SELECT 1) AS both_signatures""",
}


def study() -> Study:
    """Measure pages of every filter, and summaries, with a thousand to a million archived jobs.

    Prints the figures of every filter. The curves show the slowest.
    """
    p50_p99_ms: dict[str, dict[str, list[tuple[float, float]]]] = {}
    bytes_per_job: dict[str, list[float]] = {}
    for size in JOBS:
        for database, engine in _databases():
            _fill(engine, size)
            bytes_per_job.setdefault(database, []).append(_bytes_used(engine) / size)
            for name, times_ms in _measure(ArchiveQueries(engine), size).items():
                figures = median(times_ms), quantiles(times_ms, n=100)[98]
                p50_p99_ms.setdefault(database, {}).setdefault(name, []).append(figures)
    _print_all(p50_p99_ms)
    slowest = {
        f"{kind}, {database}": [max(p99 for _, p99 in at_size) for at_size in zip(*found, strict=True)]
        for kind in ("page", "summary")
        for database, by_name in p50_p99_ms.items()
        if (found := [figures for name, figures in by_name.items() if name.startswith(kind)])
    }
    return Study(
        "Jobs in the archive",
        "archived jobs",
        JOBS,
        [
            Panel("p99 of the slowest filter, ms", slowest, log=True),
            Panel("bytes per job", bytes_per_job),
        ],
        log=True,
    )


def _print_all(p50_p99_ms: dict[str, dict[str, list[tuple[float, float]]]]) -> None:
    """Print p50 and p99 of each request at each size, as a Markdown table per database."""
    for database, by_name in p50_p99_ms.items():
        print(f"\n| {database}: ms, p50 / p99 | {' | '.join(f'{size:,}' for size in JOBS)} |")
        print(f"| :--- | {' | '.join('---:' for _ in JOBS)} |")
        for name, figures in by_name.items():
            print(f"| {name} | {' | '.join(f'{p50:.2g} / {p99:.2g}' for p50, p99 in figures)} |", flush=True)


def _databases() -> Iterator[tuple[str, Engine]]:
    """Yield an empty database of each kind. It is deleted afterwards."""
    for name in ("SQLite", "PostgreSQL"):
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cto-bench-")))
            url = ""
            if name == "PostgreSQL":
                server = PostgreSQL()
                stack.callback(server.remove)
                url = server.new_database()
            engine = connect(Settings(data_dir=directory, archive_url=url), statement_timeout_ms=0)
            stack.callback(engine.dispose)
            migrate(engine)
            yield name, engine


def _fill(engine: Engine, count: int) -> None:
    """Insert jobs. Indexes are made afterwards, which is faster."""
    documents = _documents()
    indexes = [index for table in METADATA.sorted_tables for index in table.indexes]
    with engine.begin() as connection:
        for index in indexes:
            index.drop(connection)
        for table, statement in FILL.items():
            values = documents if table == "job_documents" else {}
            connection.execute(text(statement), {"count": count, **values})
        for index in indexes:
            index.create(connection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if engine.dialect.name == SQLITE else "VACUUM ANALYZE")


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


def _bytes_used(engine: Engine) -> int:
    """Return the size of the database with its indexes."""
    with engine.connect() as connection:
        if engine.dialect.name == SQLITE:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            return pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one()
        return connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()


def _filters(size: int, chance: random.Random) -> dict[str, JobFilter]:
    """Return a filter of each kind, with a random value."""
    n = chance.randrange(size)
    created_ms = FIRST_MS + EVERY_MS * n
    return {
        "all jobs": JobFilter(),
        "status": JobFilter(status=JobStatus.FAILED),
        "outcome": JobFilter(outcome=PurchaseOutcome.PARTIAL),
        "userId": JobFilter(user_id=f"user-{n * 31 % USERS}"),
        "tokenAddress": JobFilter(token_address=f"token-{n * 37 % TOKENS}"),
        "wallet": JobFilter(wallet=f"wallet-{n * 41 % WALLETS}"),
        "signature": JobFilter(signature=f"signature-{n * 7654321 % 9999991}-1-{'x' * 60}"),
        "errorCode": JobFilter(error_code=f"error-{n % ERRORS}"),
        "mode": JobFilter(mode=Mode.PREFUNDED),
        "platform": JobFilter(platform="bonk"),
        "from, to": JobFilter(from_ms=created_ms, to_ms=created_ms + 7 * DAY_MS),
        "userId and status": JobFilter(user_id=f"user-{n * 31 % USERS}", status=JobStatus.FAILED),
        "userId and errorCode": JobFilter(user_id=f"user-{n * 31 % USERS}", error_code=f"error-{n % ERRORS}"),
    }


def _measure(archive: ArchiveQueries, size: int) -> dict[str, list[float]]:
    """Return the response times of each kind of page and summary in ms."""
    chance, times_ms = random.Random(size), {}
    for number in range(PAGES + 1):
        for name, wanted in _filters(size, chance).items():
            # Every other page begins at a random position.
            after = JobPosition(FIRST_MS + EVERY_MS * chance.randrange(size), "") if number % 2 else None
            took_ms = _ms(lambda wanted=wanted, after=after: archive.page(wanted, LIMIT, after))
            times_ms.setdefault(f"page: {name}", []).append(took_ms)
    for name in _filters(size, chance):
        began_s = time.perf_counter()
        for _ in range(SUMMARIES):
            wanted = _filters(size, chance)[name]
            took_ms = _ms(lambda wanted=wanted: archive.totals(wanted))
            times_ms.setdefault(f"summary: {name}", []).append(took_ms)
            if time.perf_counter() - began_s > SLOW_S and len(times_ms[f"summary: {name}"]) > 2:
                break
    return {name: times[1:] for name, times in times_ms.items()}  # the first one reads the database's files


def _ms(call: Callable[[], Any]) -> float:
    began_s = time.perf_counter()
    call()
    return (time.perf_counter() - began_s) * 1_000
