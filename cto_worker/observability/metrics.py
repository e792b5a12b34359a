"""What is measured in workers, by Prometheus' types. The gateway's own measures are in :mod:`api.metrics`.

Each process measures for itself; :mod:`cto_worker.observability.heartbeat` adds what it has counted to the
store, and any
gateway tells the sums. So a label must have few values: a user or a job is none.
"""

from __future__ import annotations

from itertools import product

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from cto_worker.domain.events import Mode
from cto_worker.domain.intents import IntentStatus

disable_created_metrics()  # type: ignore[no-untyped-call]  # the sums are older than any process

REGISTRY = CollectorRegistry()  # of this process
STEP_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
PHASE_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

EVENTS_JOURNALLED = Counter("cto_events_journalled", "Progress events written.", registry=REGISTRY)
JOURNAL_STEP = Histogram(
    "cto_journal_step_seconds",
    "Time that the store takes to write one step of a job.",
    buckets=STEP_BUCKETS_S,
    registry=REGISTRY,
)
JOBS_ENDED = Counter(
    "cto_jobs_ended",
    "Jobs that have ended; `error_code` says why they failed.",
    ["mode", "status", "error_code"],
    registry=REGISTRY,
)
PHASE = Histogram(
    "cto_phase_seconds",
    "Time that jobs spend in a phase; in phase 1 they wait for a worker.",
    ["mode", "phase"],
    buckets=PHASE_BUCKETS_S,
    registry=REGISTRY,
)
INTENTS = Counter(
    "cto_intents",
    "Buys and transfers by what became of them: each is intended, most are submitted, and all are settled.",
    ["kind", "status"],
    registry=REGISTRY,
)
SPENT = Counter(
    "cto_spent_sol", "SOL that has left users' wallets for good, fees included.", registry=REGISTRY
)
TAKEOVERS = Counter("cto_takeovers", "Runs that went on with a job of another run.", registry=REGISTRY)
RUNS_LOST = Counter(
    "cto_runs_lost",
    "Runs that stopped, for another to go on: `lease`, the job was not theirs any more; `store`, it is away.",
    ["reason"],
    registry=REGISTRY,
)
RUNS_HANDED_OVER = Counter(
    "cto_runs_handed_over", "Runs that gave their job to another worker, for theirs was to stop.",
    registry=REGISTRY,
)  # fmt: skip
SWEEPS = Counter("cto_sweeps", "Looks for jobs that nobody works on.", registry=REGISTRY)
ORPHANS = Counter("cto_orphans", "Jobs found by them, whose message was sent again.", registry=REGISTRY)

# What alerts are about is told from the beginning: an increase from nothing at all is none to Prometheus.
for _kind, _status in product(("transfer", "buy"), IntentStatus):
    INTENTS.labels(_kind, _status)
for _mode in Mode:  # ended by `cto park`, after a restore
    JOBS_ENDED.labels(_mode, "failed", "needs_review")
for _reason in ("lease", "store"):
    RUNS_LOST.labels(_reason)
