"""The cost of more archived jobs: response times of every filter, on both databases, and bytes per job.

Also the throughput of the archiver, and what is left of an archived job in the store. The environment
variable ``BENCH_ARCHIVE_JOBS`` sets the number of jobs. A run with few checks that the benchmark works.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from support.postgresql import PostgreSQL

from benchmarks.archive import archive_jobs
from benchmarks.scale.archive_rows import ERRORS, EVERY_MS, FIRST_MS, TOKENS, USERS, WALLETS, fill, report
from benchmarks.scale.curves import Panel, Study
from cto_worker.archive.archive_queries import ArchiveQueries
from cto_worker.archive.database import SQLITE, connect
from cto_worker.archive.job_totals import DAY_MS
from cto_worker.archive.schema_migration import migrate
from cto_worker.config import Settings
from cto_worker.domain.job_filter import JobFilter
from cto_worker.domain.job_summary import JobPosition
from cto_worker.domain.progress_event import JobStatus, Mode
from cto_worker.domain.purchase_outcome import PurchaseOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from benchmarks.archive import Archiving

MOST = int(os.environ.get("BENCH_ARCHIVE_JOBS", "1000000"))
JOBS = sorted({1_000, MOST // 10, MOST})
LIMIT = 21  # a page of 20, and one more
PAGES, SUMMARIES = 300, 12  # requests of each kind that are measured
SLOW_S = 5.0  # a summary that takes longer in all is measured less often


def study() -> Study:
    """Measure archiving, and pages of every filter and summaries with a thousand to a million archived jobs.

    Prints the figures of every filter. The curves show the slowest.
    """
    p50_p99_ms: dict[str, dict[str, list[tuple[float, float]]]] = {}
    bytes_per_job: dict[str, list[float]] = {}
    for database, engine in _databases():
        print(f"{database}:")
        for before, size in pairwise([0, *JOBS]):
            fill(engine, before, size)
            bytes_per_job.setdefault(database, []).append(_bytes_used(engine) / size)
            for name, times_ms in _measure(ArchiveQueries(engine), size).items():
                figures = median(times_ms), quantiles(times_ms, n=100)[98]
                p50_p99_ms.setdefault(database, {}).setdefault(name, []).append(figures)
            report(f"queries with {size:,} jobs measured")
    _print_all(p50_p99_ms, bytes_per_job)
    _print_archiving(archive_jobs())
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


def _print_all(
    p50_p99_ms: dict[str, dict[str, list[tuple[float, float]]]], bytes_per_job: dict[str, list[float]]
) -> None:
    """Print p50 and p99 of each request at each size, as a Markdown table per database."""
    for database, by_name in p50_p99_ms.items():
        heads = [*(f"{size:,}" for size in JOBS), f"p50, most / {JOBS[0]:,}"]
        print(f"\n| {database}: ms, p50 / p99 | {' | '.join(heads)} |")
        print(f"| :--- | {' | '.join('---:' for _ in heads)} |")
        for name, figures in by_name.items():
            shown = " | ".join(f"{p50:.2g} / {p99:.2g}" for p50, p99 in figures)
            print(f"| {name} | {shown} | {figures[-1][0] / figures[0][0]:.2f} |")
        sizes = " | ".join(f"{size / 1_000:.1f}" for size in bytes_per_job[database])
        print(f"| kB on disk per job | {sizes} | |", flush=True)


def _print_archiving(measured: Archiving) -> None:
    """Print what the archiver does with jobs of a real worker, in SQLite."""
    ratio = measured.archived_per_s / measured.operations_per_s
    print("\n| Archiver, SQLite | |")
    print("| :--- | ---: |")
    print(f"| jobs that it archives, per s | {measured.archived_per_s:.0f} |")
    print(f"| jobs that one worker ends, per s | {measured.operations_per_s:.0f} |")
    print(f"| ratio, target ≥ 5 | {ratio:.1f} |")
    print(f"| kB on disk per job | {measured.disk_bytes / 1_000:.1f} |")
    print(f"| bytes in the store per job, before | {measured.stored_bytes:.0f} |")
    print(
        f"| bytes in the store per archived and expired job, target 0 | {measured.left_bytes:.0f} |",
        flush=True,
    )


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
