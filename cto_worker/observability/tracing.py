"""Traces: what a process tells a collector of its work, from the request to each buy.

Ports are wrapped, so that what runs behind them knows nothing of it. :class:`Traces` wraps nothing; the one
that does is in :mod:`cto_worker.observability.otlp`, which is imported only when ``CTO_OTLP_ENDPOINT`` names
a collector.
The context of a job is recorded with it, so every run of it, in whichever worker, is in the same trace.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from cto_worker.store.journal import RedisJournal

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from redis import Redis

    from cto_worker.config import Settings
    from cto_worker.domain.journal import Claim
    from cto_worker.domain.market import Market

    Send = Callable[..., None]  # (job_id, document, …): puts a message on a queue


class Traces:
    """No traces."""

    def journal(self, store: Redis, settings: Settings) -> RedisJournal:
        """Return a journal that traces what it records, and the phases that its events tell of."""
        return RedisJournal(store, settings)

    def market(self, market: Market) -> Market:
        """Return a market that traces what it is asked, and each transfer and buy."""
        return market

    def send(self, send: Send) -> Send:
        """Return a ``send`` that traces each message."""
        return send

    def caller(self, traceparent: str) -> AbstractContextManager[object]:
        """Have what the block does belong to the trace of who caused it: a W3C ``traceparent``, or ""."""
        del traceparent
        return nullcontext()

    def run(self, job_id: str, claim: Claim) -> AbstractContextManager[object]:
        """Trace one run of a job: the block, and how it ends."""
        del job_id, claim
        return nullcontext()

    def request(
        self, method: str, route: str, path: str, traceparent: str
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Trace a request that ``traceparent`` has caused. The block is given what takes its status."""
        del method, route, path, traceparent
        return nullcontext(lambda _: None)

    def stop(self, within_s: float) -> None:
        """Send what is left, if so much time is enough for it."""


def make_traces(settings: Settings, service: str) -> Traces:
    """Return the traces of a process. ``service`` is its name there, like ``cto-worker``."""
    if not settings.otlp_endpoint:
        return Traces()
    from cto_worker.observability.otlp import OtlpTraces  # noqa: PLC0415 - a tenth of a second, and 8 MB

    return OtlpTraces(settings.otlp_endpoint, service)
