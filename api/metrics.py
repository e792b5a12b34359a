"""The gateway's metrics. Those of workers are in :mod:`cto_worker.observability.metrics`."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from cto_worker.observability.metrics import REGISTRY

CANARY_LATE = "canary_late_s"  # beside its clients, what a gateway's pulse tells
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

RELAYED = Counter(
    "cto_gateway_events_relayed", "Events put to clients, once for each client.", registry=REGISTRY
)
MERGED = Counter(
    "cto_gateway_events_merged",
    "Events left out because a client reads too slowly.",
    registry=REGISTRY,
)
EVENTS_DROPPED = Counter(
    "cto_gateway_events_dropped",
    "Events that waited for clients when these were cut off; they come back for them.",
    registry=REGISTRY,
)
DROPPED = Counter(
    "cto_gateway_clients_dropped",
    "Clients cut off because they do not read what they asked for.",
    registry=REGISTRY,
)
REFUSED = Counter(
    "cto_gateway_refused",
    "Clients turned away: `full`, the gateway has no room; `address` or `user`, too many are theirs already; "
    "`busy`, a turn to join or resume did not come; `silent`, a session never asked to be let in; "
    "`origin` or `host`, these are not allowed.",
    ["reason"],
    registry=REGISTRY,
)
for _reason in ("full", "address", "user", "busy", "silent", "origin", "host"):
    REFUSED.labels(_reason)  # so that each is told from the beginning
REQUEST = Histogram(
    "cto_gateway_request_seconds",
    "Time that REST takes to answer.",
    ["method", "route", "status"],
    buckets=LATENCY_BUCKETS_S,
    registry=REGISTRY,
)
BROKEN = Counter(
    "cto_gateway_broken", "Answers 500: faults of ours, whose tracebacks are logged.", registry=REGISTRY
)
CANARY = Histogram(
    "cto_gateway_canary_seconds",
    "Time that the relay's own heartbeat takes through the store's pub/sub, every two seconds.",
    buckets=LATENCY_BUCKETS_S,
    registry=REGISTRY,
)
RELAY_LAG = Histogram(
    "cto_gateway_relay_lag_seconds",
    "Time from when a worker wrote an event until it was put to clients, by both machines' clocks; sampled.",
    buckets=LATENCY_BUCKETS_S,
    registry=REGISTRY,
)
CLIENT_LATENCY = Histogram(
    "cto_gateway_client_latency_seconds",
    "The same until a client's WebSocket has acknowledged it; sampled.",
    buckets=LATENCY_BUCKETS_S,
    registry=REGISTRY,
)
