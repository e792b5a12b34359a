"""``GET /api/cto/system`` for operators: processes, queues, and the jobs of the last hour.

``GET /api/cto/market`` returns the kind of money in the market, to every caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from flask import Blueprint, Response, request
from msgspec import Struct

from api.auth.authentication import require_operator
from api.metric_definitions import HEARTBEAT_LATE
from api.rest.request_parsing import query
from api.rest.responses import success
from cto_worker.domain.field_types import Count, JobId, doc
from cto_worker.observability.heartbeat_reader import read_processes, read_system_counts
from cto_worker.observability.last_hour_statistics import EndedJobs, read_last_hour
from cto_worker.observability.process_heartbeat import VERSION
from cto_worker.store.journal_queries import JournalQueries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from cto_worker.observability.heartbeat_reader import Process
    from cto_worker.store.backlog import Backlog

ProcessName = Annotated[str, doc("Host name and process id")]
Version = Annotated[str, doc("The release that the process runs; empty before 0.3")]
_KINDS_OF_MONEY = "`simulated`, `local_chain` (play money) or `real`"
HeartbeatAge = Annotated[Count, doc("Milliseconds since its last heartbeat; it sends one every 2 s")]


class Worker(Struct, rename="camel"):
    """A worker process."""

    id: ProcessName
    operations: Annotated[Count, doc("Operations that run now")]
    slots: Annotated[Count, doc("Operations that may run at the same time")]
    heartbeat_age_ms: HeartbeatAge
    version: Version
    market: Annotated[str, doc("Its market, such as `solana: local chain`; empty before 0.3")]
    money: Annotated[str, doc(f"The kind of money in this market: {_KINDS_OF_MONEY}; empty before 0.3")]


class Gateway(Struct, rename="camel"):
    """A gateway process."""

    id: ProcessName
    connections: Annotated[dict[str, int], doc("Clients that receive events, by transport")]
    relay_delay_ms: Annotated[
        Count,
        doc("Milliseconds since it last received its own message through the store; it sends one every 2 s"),
    ]
    heartbeat_age_ms: HeartbeatAge
    version: Version


class LostProcess(Struct, rename="camel"):
    """A process that stopped within the last day without a clean exit, and that was not replaced."""

    id: ProcessName
    kind: Annotated[str, doc("`worker` or `gateway`")]
    heartbeat_age_ms: HeartbeatAge
    version: Version


class OldestWaiting(Struct, rename="camel"):
    """The job that has waited longest for a worker."""

    job_id: JobId
    age_ms: Annotated[Count, doc("Milliseconds since its acceptance")]


class Backlogged(Struct, rename="camel"):
    """The jobs that are not done."""

    waiting: Annotated[Count, doc("Jobs that no worker has claimed")]
    active: Annotated[Count, doc("Jobs that a worker runs, or will take over")]
    needs_review: Annotated[Count, doc("Ended jobs that an operator must look at")]
    unarchived: Annotated[Count, doc("Ended jobs that are not in the archive yet")]


class StoreState(Struct, rename="camel"):
    """The state of the store."""

    memory_bytes: Annotated[Count, doc("Memory that it uses")]
    memory_limit_bytes: Annotated[Count, doc("Memory limit; at this limit it refuses writes")]
    snapshot_at: Annotated[
        Count, doc("The time of its last snapshot, or of its start, in milliseconds since 1970-01-01 UTC")
    ]


class MarketState(Struct, rename="camel"):
    """The market in which operations run."""

    money: Annotated[
        str,
        doc(
            f"The kind of money that moves: {_KINDS_OF_MONEY}; empty if no worker runs, or if the running "
            "workers do not all report the same"
        ),
    ]


class SystemState(Struct, rename="camel"):
    """The state of the whole system."""

    version: Annotated[str, doc("The release of the gateway that responds")]
    workers: Annotated[
        list[Worker], doc("Running workers: with a heartbeat in the last 15 s, and not shut down; by id")
    ]
    gateways: Annotated[
        list[Gateway], doc("Running gateways: with a heartbeat in the last 15 s, and not shut down; by id")
    ]
    lost: Annotated[
        list[LostProcess],
        doc("Processes that stopped within a day without a clean exit, and were not replaced"),
    ]
    queues: Annotated[dict[str, int], doc("Queued messages, by queue")]
    jobs: Annotated[Backlogged, doc("The number of jobs that are not done")]
    oldest_waiting: Annotated[OldestWaiting | None, doc("The oldest waiting job; null without one")]
    last_hour: Annotated[EndedJobs, doc("The jobs that ended in the last 60 minutes")]
    minutes: Annotated[list[EndedJobs], doc("The same for each of these minutes, oldest first")]
    store: Annotated[StoreState, doc("The state of the store")]


def blueprint(store: Redis) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("system", __name__, url_prefix="/api/cto")
    history = JournalQueries(store)

    @routes.get("/system")
    def system() -> Response:
        query(request, ())
        require_operator("the state of the system")
        return success(msgspec.json.encode(system_state(store, history)))

    @routes.get("/market")
    def market() -> Response:
        query(request, ())
        return success(msgspec.json.encode(MarketState(money_of(read_processes(store)))))

    return routes


def money_of(processes: Sequence[Process]) -> str:
    """Return the kind of money of all running workers. Empty if it differs, or one does not report it."""
    kinds = {process.money for process in processes if process.kind == "worker"}
    return kinds.pop() if len(kinds) == 1 else ""


def system_state(store: Redis, history: JournalQueries) -> SystemState:
    """Return the state of the whole system. Raises ``RedisError``."""
    counts, backlog = read_system_counts(store), history.backlog()
    last_hour, minutes = read_last_hour(store)
    processes = sorted(counts.processes, key=lambda process: process.name)
    return SystemState(
        version=VERSION,
        workers=[_worker(process) for process in processes if process.kind == "worker"],
        gateways=[_gateway(process) for process in processes if process.kind == "gateway"],
        lost=[LostProcess(each.name, each.kind, each.age_ms, each.version) for each in counts.lost],
        queues=backlog.messages,
        jobs=Backlogged(**backlog.jobs, unarchived=backlog.unarchived),
        oldest_waiting=_oldest_waiting(backlog),
        last_hour=last_hour,
        minutes=minutes,
        store=StoreState(backlog.memory_bytes, backlog.memory_limit_bytes, backlog.snapshot_s * 1_000),
    )


def _worker(process: Process) -> Worker:
    operations, slots = (round(process.gauges.get(name, 0)) for name in ("operations", "slots"))
    return Worker(
        process.name, operations, slots, process.age_ms, process.version, process.market, process.money
    )


def _gateway(process: Process) -> Gateway:
    connections = {name: round(number) for name, number in process.gauges.items() if name != HEARTBEAT_LATE}
    delay_ms = round(1_000 * process.gauges.get(HEARTBEAT_LATE, 0))
    return Gateway(process.name, connections, delay_ms, process.age_ms, process.version)


def _oldest_waiting(backlog: Backlog) -> OldestWaiting | None:
    if backlog.oldest_waiting is None:
        return None
    return OldestWaiting(backlog.oldest_waiting, round(backlog.oldest_waiting_s * 1_000))
