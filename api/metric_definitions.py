"""The gateway's metrics. The workers': :mod:`cto_worker.observability.metric_definitions`."""

from __future__ import annotations

from functools import partial

from prometheus_client import Counter, Histogram

from cto_worker.observability.metric_definitions import REGISTRY

# A gauge in the gateway's process heartbeat: the age of the relay's last heartbeat. Metrics call it canary.
HEARTBEAT_LATE = "canary_late_s"
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_counter = partial(Counter, registry=REGISTRY)
_histogram = partial(Histogram, registry=REGISTRY, buckets=LATENCY_BUCKETS_S)

RELAYED = _counter("cto_gateway_events_relayed", "Events queued for clients, counted once per client.")
MERGED = _counter("cto_gateway_events_merged", "Events omitted because their client reads too slowly.")
EVENTS_DROPPED = _counter(
    "cto_gateway_events_dropped",
    "Queued events discarded when a slow client was disconnected; it can resume them.",
)
DROPPED = _counter("cto_gateway_clients_dropped", "Clients disconnected because they read too slowly.")
REFUSED = _counter(
    "cto_gateway_refused",
    "Refused clients. `full`, `address`, `user`: connection limit of the gateway, address or user; "
    "`busy`: no slot to join or resume was free in time; `silent`: the session never joined the namespace; "
    "`origin`, `host`: not allowed.",
    ["reason"],
)
for _reason in ("full", "address", "user", "busy", "silent", "origin", "host"):
    REFUSED.labels(_reason)  # so that each is exported as 0 before its first refusal
REQUEST = _histogram(
    "cto_gateway_request_seconds",
    "Time from a REST request to its response, in seconds.",
    ["method", "route", "status"],
)
BROKEN = _counter("cto_gateway_broken", "Responses 500: defects, whose tracebacks are in the log.")
RELAY_HEARTBEAT = _histogram(
    "cto_gateway_canary_seconds",
    "Round trip of the relay's heartbeat through the store's pub/sub, in seconds; sent every 2 s.",
)
RELAY_LAG = _histogram(
    "cto_gateway_relay_lag_seconds",
    "Time from a worker's write of an event to its queueing for clients, in seconds, by the clocks of both "
    "machines; sampled.",
)
CLIENT_LATENCY = _histogram(
    "cto_gateway_client_latency_seconds",
    "Time from a worker's write of an event to the acknowledgement by a client's WebSocket, in seconds; "
    "sampled.",
)
