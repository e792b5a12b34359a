"""Traces that go to a collector: OpenTelemetry's SDK, and its OTLP over HTTP.

The SDK's own ``OTEL_*`` variables hold (headers, sampling, batches); where the collector is says
``CTO_OTLP_ENDPOINT``. Spans wait in memory and are sent by a thread, so a collector that is slow or gone
costs spans, never time.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from structlog.contextvars import bound_contextvars

from cto_worker.observability.spans import (
    MESSAGING,
    TracedJournal,
    TracedMarket,
    attached,
    in_run,
    span,
    trace_id,
)
from cto_worker.observability.tracing import Traces
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.sdk.trace import ReadableSpan
    from redis import Redis

    from cto_worker.config import Settings
    from cto_worker.domain.journal import Claim
    from cto_worker.domain.market import Market
    from cto_worker.observability.tracing import Send

SERVER_ERROR = 500

log = logging.getLogger(__name__)


class OtlpTraces(Traces):
    """See :class:`Traces`."""

    def __init__(self, endpoint: str, service: str) -> None:
        resource = Resource.create(
            {
                "service.name": service,
                "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
            }
        )
        # Its own end would wait for half a minute.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_Exporter(endpoint)))
        self._tracer = self._provider.get_tracer("cto")

    def journal(self, store: Redis, settings: Settings) -> TracedJournal:
        """See :meth:`Traces.journal`."""
        return TracedJournal(store, settings, self._tracer)

    def market(self, market: Market) -> TracedMarket:
        """See :meth:`Traces.market`."""
        return TracedMarket(market, self._tracer)

    def send(self, send: Send) -> Send:
        """See :meth:`Traces.send`."""

        def send_traced(job_id: str, *message: object) -> None:
            attributes = MESSAGING | {"messaging.operation.type": "send", "messaging.message.id": job_id}
            with span(self._tracer, f"send {keys.QUEUE}", SpanKind.PRODUCER, attributes):
                send(job_id, *message)

        return send_traced

    def caller(self, traceparent: str) -> AbstractContextManager[object]:
        """See :meth:`Traces.caller`."""
        return attached(traceparent)

    def run(self, job_id: str, claim: Claim) -> AbstractContextManager[object]:
        """See :meth:`Traces.run`."""
        return in_run(self._tracer, job_id, claim)

    @contextmanager
    def request(
        self, method: str, route: str, path: str, traceparent: str
    ) -> Iterator[Callable[[int], None]]:
        """See :meth:`Traces.request`."""
        attributes = {"http.request.method": method, "http.route": route, "url.path": path}
        caller = extract({"traceparent": traceparent})
        with span(self._tracer, f"{method} {route}", SpanKind.SERVER, attributes, caller) as one:

            def tell(status: int) -> None:
                one.set_attribute("http.response.status_code", status)
                if status >= SERVER_ERROR:
                    one.set_attribute("error.type", str(status))
                    one.set_status(Status(StatusCode.ERROR))

            with bound_contextvars(trace_id=trace_id(one)):
                yield tell

    def stop(self, within_s: float) -> None:
        """See :meth:`Traces.stop`."""
        stopping = threading.Thread(target=self._provider.shutdown, name="last traces", daemon=True)
        stopping.start()
        stopping.join(within_s)


class _Exporter(SpanExporter):
    """OTLP over HTTP; while the collector cannot be reached the log says so once."""

    def __init__(self, endpoint: str) -> None:
        self._exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._failing = False
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(self._first)
        # It warns of every span that does not fit into a full queue: the same outage.
        logging.getLogger("opentelemetry.sdk._shared_internal").setLevel(logging.ERROR)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans. Those that the collector does not take are lost."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS and self._failing:
            self._failing = False
            log.info("traces reach the collector again")
        return result

    def shutdown(self) -> None:
        """Send no more."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # OpenTelemetry's own omission

    def _first(self, record: logging.LogRecord) -> bool:
        """Let the first line about an outage through, as the warning that it is."""
        first = not self._failing
        self._failing = True
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return first
