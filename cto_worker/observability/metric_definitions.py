"""The workers' metrics: Prometheus counters and histograms. The gateway's: :mod:`api.metric_definitions`.

Each process counts for itself. :mod:`cto_worker.observability.process_heartbeat` adds its counts to the
store, and any gateway returns the sums. Each combination of labels is a field in the store, so a label must
have few values: never a user or a job.
"""

from __future__ import annotations

from functools import partial
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from cto_worker.domain.intent_log import IntentStatus
from cto_worker.domain.progress_event import Mode
from cto_worker.domain.purchase_outcome import PurchaseOutcome

# `_created` would be wrong, because the sums in the store are older than this process.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()  # this process's metrics
STEP_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
PHASE_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

_counter, _histogram = partial(Counter, registry=REGISTRY), partial(Histogram, registry=REGISTRY)

EVENTS_JOURNALLED = _counter("cto_events_journalled", "Progress events written.")
JOURNAL_WRITE = _histogram(
    "cto_journal_step_seconds",
    "Time that the store takes to append the events of one journal write.",
    buckets=STEP_BUCKETS_S,
)
JOBS_ENDED = _counter(
    "cto_jobs_ended",
    "Jobs that have ended; `error_code` is the reason of a failure.",
    ["mode", "status", "outcome", "error_code"],
)
PHASE = _histogram(
    "cto_phase_seconds",
    "Time that jobs spend in a phase; phase 1 is the wait for a worker.",
    ["mode", "phase"],
    buckets=PHASE_BUCKETS_S,
)
JOB = _histogram(
    "cto_job_seconds",
    "Time from the acceptance of a job to its end; without jobs that were taken over.",
    ["mode"],
    buckets=PHASE_BUCKETS_S,
)
INTENTS = _counter(
    "cto_intents",
    "Buys and transfers by status. Each counts as intended, as submitted if its outcome was not known at "
    "once, and by its outcome; as replaced, for each order that replaced an expired one.",
    ["kind", "status"],
)
SPENT = _counter("cto_spent_sol", "SOL spent from users' wallets, including fees.")
TAKEOVERS = _counter("cto_takeovers", "Runs that took over a job from another run.")
RUNS_LOST = _counter(
    "cto_runs_lost",
    "Runs that lost their job: `lease`, another run had claimed it; `store`, the store was unreachable.",
    ["reason"],
)
RUNS_HANDED_OVER = _counter(
    "cto_runs_handed_over", "Runs that a stopping worker handed over to another worker."
)
SWEEPS = _counter("cto_sweeps", "Sweeps for orphaned jobs.")
ORPHANS = _counter("cto_orphans", "Orphaned jobs whose message was sent again.")
JOBS_ARCHIVED = _counter("cto_jobs_archived", "Ended jobs written to the archive.")
ARCHIVE_FAILURES = _counter(
    "cto_archive_failures",
    "Failed attempts to archive ended jobs, to delete old ones, or to update SQLite's statistics.",
)

# Series with alerts, and those of completed jobs, exist from the start, because Prometheus sees no increase
# when a series first appears. Those of failed jobs are too many.
for _kind, _status in product(("transfer", "buy"), (*IntentStatus, "replaced")):
    INTENTS.labels(_kind, _status)
for _mode in Mode:
    JOB.labels(_mode)
    # Counted by `cto park` after a restore.
    JOBS_ENDED.labels(_mode, "failed", "unknown", "needs_review")
    for _outcome in PurchaseOutcome:
        JOBS_ENDED.labels(_mode, "completed", _outcome, "")
for _reason in ("lease", "store"):
    RUNS_LOST.labels(_reason)
