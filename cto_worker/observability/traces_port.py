"""Traces: the spans of a process's work, from the request to each buy.

Tracing wraps the ports, so the code behind a port does not depend on it. :class:`Traces` wraps nothing and
records nothing. :class:`cto_worker.observability.otlp_traces.OtlpTraces` sends spans to a collector;
:mod:`cto_worker.observability.traces_factory` chooses between them.

The trace context is stored with the job, so all runs of a job, in any worker, belong to one trace.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from cto_worker.domain.journal_ports import Claim, Journal
    from cto_worker.domain.market_port import Market

    Send = Callable[..., None]  # (job_id, document, …): puts a message on a queue


class Traces:
    """Traces that record nothing, and the interface of those that do."""

    def journal(self, journal: Journal) -> Journal:
        """Return a journal that traces new jobs, phases and intents."""
        return journal

    def market(self, market: Market) -> Market:
        """Return a market that traces its calls, and each transfer and buy."""
        return market

    def send(self, send: Send) -> Send:
        """Return a ``send`` that traces each message."""
        return send

    def caller(self, traceparent: str) -> AbstractContextManager[object]:
        """Run the block in the caller's trace. ``traceparent`` is a W3C trace context, or ""."""
        del traceparent
        return nullcontext()

    def run(self, job_id: str, claim: Claim) -> AbstractContextManager[object]:
        """Trace the block as one run of a job, with the outcome."""
        del job_id, claim
        return nullcontext()

    def request(
        self, method: str, route: str, path: str, traceparent: str
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Trace the block as one HTTP request, in the trace of ``traceparent``.

        The block gets a function that it must call with the response's status code.
        """
        del method, route, path, traceparent
        return nullcontext(lambda _: None)

    def stop(self, within_s: float) -> None:
        """Send the remaining spans, for at most ``within_s`` seconds."""
