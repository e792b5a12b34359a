"""The choice of a process's traces, by its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cto_worker.observability.traces_port import Traces

if TYPE_CHECKING:
    from cto_worker.config import Settings


def make_traces(settings: Settings, service: str) -> Traces:
    """Return the traces of a process. ``service`` is its name in them, such as ``cto-worker``.

    Without ``CTO_OTLP_ENDPOINT`` the returned traces record nothing.
    """
    if not settings.otlp_endpoint:
        return Traces()
    # Imported on demand, because it costs 7 MB and 0.1 s, and most processes have no collector.
    from cto_worker.observability.otlp_traces import OtlpTraces  # noqa: PLC0415

    return OtlpTraces(settings.otlp_endpoint, service)
