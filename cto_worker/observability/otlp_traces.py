"""Traces that are sent to a collector by OTLP over HTTP, with OpenTelemetry's SDK.

``CTO_OTLP_ENDPOINT`` is the collector's address. The SDK's own ``OTEL_*`` variables set headers, sampling and
batches. A thread sends the spans from a bounded queue, so a slow or missing collector loses spans but delays
nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from opentelemetry.context import attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from structlog.contextvars import bound_contextvars

from cto_worker.observability.run_spans import MESSAGING, in_run, span
from cto_worker.observability.traced_ports import TracedEventLog, TracedJobStore, TracedMarket
from cto_worker.observability.traces_port import Traces
from cto_worker.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.sdk.trace import ReadableSpan

    from cto_worker.domain.journal_ports import Claim, Journal
    from cto_worker.domain.market_port import Market
    from cto_worker.observability.traces_port import Send

SERVER_ERROR = 500

log = logging.getLogger(__name__)


class OtlpTraces(Traces):
    """Sends spans to a collector. See :class:`Traces`."""

    def __init__(self, endpoint: str, service: str) -> None:
        resource = Resource.create(
            {
                "service.name": service,
                "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
            }
        )
        # The SDK's own shutdown at exit would block for half a minute.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_Exporter(endpoint)))
        self._tracer = self._provider.get_tracer("cto")

    def journal(self, journal: Journal) -> Journal:
        """See :meth:`Traces.journal`."""
        return replace(
            journal,
            jobs=TracedJobStore(journal.jobs, self._tracer),
            events=TracedEventLog(journal.events, self._tracer),
        )

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

    @contextmanager
    def caller(self, traceparent: str) -> Iterator[None]:
        """See :meth:`Traces.caller`."""
        token = attach(extract({"traceparent": traceparent}))
        try:
            yield
        finally:
            detach(token)

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
        with span(self._tracer, f"{method} {route}", SpanKind.SERVER, attributes, caller) as request_span:

            def set_status(status: int) -> None:
                request_span.set_attribute("http.response.status_code", status)
                if status >= SERVER_ERROR:
                    request_span.set_attribute("error.type", str(status))
                    request_span.set_status(Status(StatusCode.ERROR))

            with bound_contextvars(trace_id=f"{request_span.get_span_context().trace_id:032x}"):
                yield set_status

    def stop(self, within_s: float) -> None:
        """See :meth:`Traces.stop`."""
        stopping = threading.Thread(target=self._provider.shutdown, name="last traces", daemon=True)
        stopping.start()
        stopping.join(within_s)


class _Exporter(SpanExporter):
    """An OTLP exporter that logs an outage of the collector once, and its end."""

    def __init__(self, endpoint: str) -> None:
        self._exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._failing = False
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(self._is_first)
        # The SDK warns of every span that does not fit into its full queue, which is the same outage.
        logging.getLogger("opentelemetry.sdk._shared_internal").setLevel(logging.ERROR)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans. Spans that the collector does not accept are lost."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS and self._failing:
            self._failing = False
            log.info("traces reach the collector again")
        return result

    def shutdown(self) -> None:
        """Stop sending."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # OpenTelemetry's own omission

    def _is_first(self, record: logging.LogRecord) -> bool:
        """Accept only the first line about an outage, and lower it from an error to a warning."""
        first = not self._failing
        self._failing = True
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return first
