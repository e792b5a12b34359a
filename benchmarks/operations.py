"""Operations of many wallets: duration, CPU, round trips and durable writes, with steps side by side."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import mean, median
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from benchmarks.system import BODY, client, cpu_s, embedded_store, wait_until
from benchmarks.worker import Worker, operations_at_once, operations_per_s, running_worker, worker_on
from cto_worker.config import Settings
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.markets.paper.market import PaperMarket
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.store import keys
from cto_worker.store.redis_journal import RedisJournal

if TYPE_CHECKING:
    from redis import Redis

LATENCY_S = 0.4  # the default of CTO_PAPER_LATENCY_MS
WALLETS = 10
ROUNDS = 3
MARKET_ROUNDS = 2  # of a standard operation: its transfers, and then its buys


def body(wallets: int = WALLETS, mode: str = "standard") -> dict[str, Any]:
    """Return the request of an operation that spends little per wallet."""
    return BODY | {"mode": mode, "walletCount": wallets, "buyAmount": 0.0001 * wallets}


def duration_s(request: dict[str, Any], parallelism: int) -> float:
    """Return the median seconds from the submission of an operation to its end, in an idle worker."""
    settings = {"CTO_PAPER_LATENCY_MS": f"{LATENCY_S * 1000:.0f}"}
    with running_worker(**settings, CTO_OPERATION_PARALLELISM=str(parallelism)) as worker:
        return median(_seconds(worker, request) for _ in range(ROUNDS))


def _seconds(worker: Worker, request: dict[str, Any]) -> float:
    start_s = time.perf_counter()
    job_id = worker.producer.submit(request).job_id
    wait_until(lambda: worker.history.stats([job_id]).completed, interval_s=0.005)
    return time.perf_counter() - start_s


def cpu_side_by_side_and_in_sequence(count: int = 100) -> tuple[float, float]:
    """Return the CPU ms of an operation at zero latency: ten orders in flight, and one at a time.

    The CPU is that of the worker process, until these operations are archived, and no others. Both workers
    use one store, in turn.
    """
    ten, one = [], []
    with embedded_store() as environment:
        for _ in range(ROUNDS):
            ten.append(_cpu_ms(environment, 10, count))
            one.append(_cpu_ms(environment, 1, count))
    return median(ten), median(one)


def _cpu_ms(environment: dict[str, str], parallelism: int, count: int) -> float:
    with worker_on(environment | {"CTO_OPERATION_PARALLELISM": str(parallelism)}) as worker:
        operations_per_s(worker, count // 5, body())  # the first operations load modules and scripts
        _wait_for_archive(worker)
        before_s = cpu_s(worker.pid)
        operations_per_s(worker, count, body())
        _wait_for_archive(worker)
        return (cpu_s(worker.pid) - before_s) * 1000 / count


def _wait_for_archive(worker: Worker) -> None:
    """Wait until all ended jobs are archived. The worker archives them later, while it runs other jobs."""
    wait_until(lambda: not worker.store.zcard(keys.unarchived(keys.ALL_OWNERS)))


@dataclass(frozen=True, slots=True)
class Traffic:
    """The traffic of one operation to the stores, from the claim to the last event."""

    round_trips: int  # those to the paper market included
    durable_writes: int  # of the journal


def traffic(mode: str) -> Traffic:
    """Return the traffic of an operation of ten wallets, ten at a time. The paper market has its own store.

    Each script is one round trip. Each script of the journal writes, and the store syncs a write to disk
    before it responds. ``WAITAOF`` is sent together with a script.
    """
    with embedded_store() as environment, embedded_store() as market_environment:
        settings = Settings.from_env(environment | {"CTO_PAPER_LATENCY_MS": f"{LATENCY_S * 1000:.0f}"})
        store, market_store = client(environment), client(market_environment)
        journal = RedisJournal(store, settings)
        runner = JobRunner(Journal.of(journal), PaperMarket(market_store, settings), parallelism=10)
        _run(runner, mode)  # opens the wallets, and loads the scripts
        before = _scripts(store), _scripts(market_store)
        _run(runner, mode)
        of_journal, of_market = _scripts(store) - before[0], _scripts(market_store) - before[1]
    created = 1  # by the gateway
    return Traffic(of_journal + of_market - created, of_journal - created)


def _run(runner: JobRunner, mode: str) -> None:
    document = body(mode=mode)
    request = parse_request(document)
    event = accepted_event(str(uuid4()), request)
    runner.journal.jobs.create(event, request.to_document())
    runner.run_job(event.job_id, document, recorded=True)


def _scripts(store: Redis) -> int:
    calls: Any = store.info("commandstats")
    return int(calls["cmdstat_evalsha"]["calls"])


def at_once(count: int) -> tuple[float, float, float]:
    """Return operations/s of one process with ``count`` at once, what its CPU allows, and its MB.

    The CPU allows what a process does at zero latency, and the market no more than ``count`` at once. The
    speed at zero latency is measured before and after, because the speed of a machine can change meanwhile.
    """
    before = _without_latency_per_s()
    _, full, memory_mb = operations_at_once(count, waves=3, latency_s=LATENCY_S, body=body())
    without_latency = mean([before, _without_latency_per_s()])
    return full, min(without_latency, count / (MARKET_ROUNDS * LATENCY_S)), memory_mb


def _without_latency_per_s(count: int = 250) -> float:
    with running_worker() as worker:
        operations_per_s(worker, count // 5, body())  # the first operations load modules and scripts
        return operations_per_s(worker, count, body())
