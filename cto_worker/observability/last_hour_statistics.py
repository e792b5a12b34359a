"""Statistics of the last hour, by the minute: ended jobs, and the durations of their waits and runs."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Struct

from cto_worker.domain.field_types import Count, doc
from cto_worker.domain.purchase_outcome import PurchaseOutcome
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis import Redis

_ENDED, _WAIT, _DURATION = "cto_jobs_ended_total", "cto_phase_seconds_bucket", "cto_job_seconds_bucket"


class Quantiles(Struct, rename="camel"):
    """Quantiles of durations, estimated from a histogram. Values above the last bound count as that bound."""

    p50_ms: Annotated[Count, doc("The median, in milliseconds")]
    p95_ms: Annotated[Count, doc("The 95th percentile, in milliseconds")]
    p99_ms: Annotated[Count, doc("The 99th percentile, in milliseconds")]


class EndedJobs(Struct, rename="camel"):
    """The jobs that ended in a period. Jobs that were taken over count without their times."""

    since: Annotated[Count, doc("The beginning of the period, in milliseconds since 1970-01-01 UTC")]
    completed: Annotated[Count, doc("Jobs that ended `completed`")]
    failed: Annotated[Count, doc("Jobs that ended `failed`")]
    full: Annotated[Count, doc("Jobs of which every planned buy was confirmed")]
    partial: Annotated[Count, doc("Jobs of which some buys were confirmed")]
    none: Annotated[Count, doc("Jobs that bought nothing")]
    unknown: Annotated[Count, doc("Jobs with a transfer or buy whose outcome was not known at the end")]
    wait: Annotated[Quantiles | None, doc("Time from acceptance until a worker began; null without a job")]
    duration: Annotated[Quantiles | None, doc("Time from acceptance to the end; null without a job")]


def read_last_hour(store: Redis) -> tuple[EndedJobs, list[EndedJobs]]:
    """Return the last hour, and its minutes, oldest first; the current minute is the last.

    Takes two round trips. Raises ``RedisError``.
    """
    now_s: Any = store.time()
    last = now_s[0] // 60
    minutes = range(last - keys.MINUTES_SHOWN + 1, last + 1)
    with store.pipeline(transaction=False) as pipeline:
        for minute in minutes:
            pipeline.hgetall(f"{keys.MINUTE_PREFIX}{minute}")
        counts = [_counts(fields) for fields in pipeline.execute()]
    each = [_ended_jobs(minute * 60_000, counted) for minute, counted in zip(minutes, counts, strict=True)]
    return _ended_jobs(minutes[0] * 60_000, sum(counts, Counter())), each


def _counts(fields: dict[bytes, bytes]) -> Counter[tuple[str, str]]:
    """Return the jobs of one minute by sample, and by status, outcome or upper bound of a bucket."""
    counted: Counter[tuple[str, str]] = Counter()
    for field, value in fields.items():
        name, *labels = json.loads(field)
        for label, text in labels:
            if label in ("status", "outcome", "le"):
                counted[name, text] += round(float(value))
    return counted


def _ended_jobs(since_ms: int, counts: Counter[tuple[str, str]]) -> EndedJobs:
    return EndedJobs(
        since=since_ms,
        completed=counts[_ENDED, "completed"],
        failed=counts[_ENDED, "failed"],
        full=counts[_ENDED, PurchaseOutcome.FULL],
        partial=counts[_ENDED, PurchaseOutcome.PARTIAL],
        none=counts[_ENDED, PurchaseOutcome.NONE],
        unknown=counts[_ENDED, PurchaseOutcome.UNKNOWN],
        wait=_quantiles(counts, _WAIT),
        duration=_quantiles(counts, _DURATION),
    )


def _quantiles(counts: Counter[tuple[str, str]], name: str) -> Quantiles | None:
    buckets = sorted((float(bound), number) for (sample, bound), number in counts.items() if sample == name)
    if not buckets or not buckets[-1][1]:
        return None
    return Quantiles(*(round(1_000 * quantile(buckets, share)) for share in (0.5, 0.95, 0.99)))


def quantile(buckets: Iterable[tuple[float, int]], share: float) -> float:
    """Return a quantile of a cumulative histogram: pairs of upper bound and number, the last bound infinite.

    Interpolates within a bucket, as PromQL's ``histogram_quantile`` does.
    """
    bounds = list(buckets)
    rank = share * bounds[-1][1]
    lower, below = 0.0, 0
    for bound, number in bounds:
        if number >= rank and number > below:
            return (
                lower
                if bound == float("inf")
                else lower + (bound - lower) * (rank - below) / (number - below)
            )
        lower, below = bound, number
    return lower
