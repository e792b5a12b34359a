"""The gateway's composition root: ``python -m api.wsgi``."""

from __future__ import annotations

from cto_worker.process_imports import end_of_imports  # isort: skip - it must be the first import
from api.engines.selected import engine  # isort: skip - it patches the standard library, so it comes before all others

import argparse
import gc
import logging
import os
import sys
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError
from werkzeug.middleware.proxy_fix import ProxyFix

from api import library_patches
from api.auth.authentication import Authenticator
from api.auth.startup_settings import settings_or_exit
from api.auth.token_revocations import Revocations
from api.engines.http_connection import detach_socket
from api.engines.http_server import HttpServer
from api.flask_app import create_app
from api.history.archive_reader import archive_reader, prepare_archive
from api.history.job_history import JobHistory
from api.limits.fifo_semaphore import LOOKUPS_AT_ONCE, FifoSemaphore
from api.limits.log_repeat_filter import RepeatFilter
from api.limits.refusal_log import refusals
from api.metric_definitions import HEARTBEAT_LATE
from api.realtime import sse, websocket_route
from api.realtime.client_service import ClientService
from api.realtime.connection_limit_middleware import AddressRateLimiter, ConnectionLimitMiddleware
from api.realtime.connection_registry import ConnectionRegistry
from api.realtime.drain import drain
from api.realtime.namespace_timeout import NamespaceTimeout
from api.realtime.socketio_packet_guard import PacketGuard
from api.realtime.socketio_transport import (
    MAX_MESSAGE_BYTES,
    NAMESPACE,
    SocketIOClient,
    make_socketio,
    register,
)
from api.realtime.websocket_connection import WebSocketClients
from api.relay.relay import Relay
from api.rest import metrics_endpoint
from api.rest.concurrency_limit import MAX_RUNNING
from api.rest.request_limits import REFUSE_EARLY
from api.rest.request_spans import trace_requests
from api.server.connection_sources import DispatchedListener, PortListener, allow_descriptors, listen
from api.server.engineio_overrides import install_engine
from api.server.fair_queueing import HEADS, FairQueue, newest_and_oldest, queued_fairly
from api.server.security_middleware import SecurityMiddleware
from api.server.websocket_transport import WebSocketEngine
from cto_worker.domain.journal_ports import Journal
from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.job_producer import make_producer
from cto_worker.market_registry import platforms
from cto_worker.observability import logging_setup
from cto_worker.observability.heartbeat_reader import read_system_counts
from cto_worker.observability.metered_journal import metered
from cto_worker.observability.metric_definitions import REGISTRY
from cto_worker.observability.process_heartbeat import ProcessHeartbeat
from cto_worker.observability.traces_factory import make_traces
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.store.redis_journal import RedisJournal
from cto_worker.store.store_connection import connect
from cto_worker.store.store_reachability import unreachable
from cto_worker.unknown_settings import unknown_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cto_worker.config import Settings

end_of_imports()

REST_CONNECTIONS = 1_000  # in addition to CTO_MAX_SOCKETS: the server's limit counts every connection
OTHER_DESCRIPTORS = 200  # open files besides clients: connections of the store, logs
# On SIGTERM, the time to send queued items to clients, to complete requests, and to export traces.
FLUSH_S, DRAIN_S, TRACES_S = 1.0, 8.0, 1.0
# Half of a client's longest wait for a 503: it may wait for a pooled connection, and then for the store.
STORE_TIMEOUT_S = 2.5
# One for each request and look-up that may run, and some for health checks and background threads.
STORE_CONNECTIONS = MAX_RUNNING + LOOKUPS_AT_ONCE + 8

log = logging.getLogger("api.wsgi")


def main() -> None:
    """Serve until a signal. With ``--number``, serve the connections that the dispatcher hands over."""
    parser = argparse.ArgumentParser(
        description="Serve REST, Socket.IO, Server-Sent Events, /ws and the console."
    )
    parser.add_argument("--number", type=int, help="number of this gateway behind the dispatcher")
    number = parser.parse_args().number
    settings = settings_or_exit("gateway", lambda settings: platforms(settings.market))
    logging_setup.configure(settings)
    for handler in logging.getLogger().handlers:
        handler.addFilter(RepeatFilter())
    for warning in unknown_settings().values():
        log.warning(warning)
    if why := unreachable(settings):
        log.warning("%s: requests are answered with 503 until it is reachable", why)
    library_patches.check_store_connections_at_once(engine.BLOCKING_SELECT)
    traces = make_traces(settings, "cto-gateway")
    store = connect(settings, STORE_CONNECTIONS, timeout_s=STORE_TIMEOUT_S, retry_timeouts=False)
    prepare_archive(settings)
    archive = archive_reader(settings, engine.call_in_os_thread)
    history, revocations = JobHistory(store, archive), Revocations(store)
    authenticator = Authenticator(settings, revocations.revoked)
    # A pool of its own: if requests use up a shared pool, the relay would take the store for unreachable.
    relay_store = connect(settings, timeout_s=STORE_TIMEOUT_S, retry_timeouts=False)
    relay = Relay(
        relay_store,
        JournalQueries(relay_store),
        on_store_lost=engine.clear_dns_cache,
        max_rooms=settings.max_rooms,
        make_reader=engine.socket_reader,
    )
    stopping = threading.Event()
    app = create_app(
        settings,
        authenticator,
        store,
        metered(Journal.of(RedisJournal(store, settings))),
        make_producer(settings, store, celery_app(settings), traces),
        archive,
        seconds_since_heartbeat=lambda: relay.seconds_since_heartbeat,
        stopping=stopping.is_set,
    )
    if settings.otlp_endpoint:
        trace_requests(app, traces)
    socketio = make_socketio(app, async_mode=engine.ASYNC_MODE)
    connections = ConnectionRegistry(revocations, settings.max_user_sockets)
    service = ClientService(authenticator, connections, FifoSemaphore(), relay, history)
    namespace_timeout = NamespaceTimeout(socketio.server, NAMESPACE)
    websocket_engine = WebSocketEngine(detach_socket, engine.poller(), engine.spawn)
    install_engine(
        socketio.server.eio,
        websocket_engine,
        create_queue=partial(SocketIOClient, socketio.server),
        on_message=PacketGuard(socketio.server, NAMESPACE).check_and_handle,
        on_opened=namespace_timeout.note,
    )
    register(socketio, service, namespace_timeout.note)
    engine.log_failures()
    app.register_blueprint(sse.blueprint(service))
    websockets = WebSocketClients(service, websocket_engine, MAX_MESSAGE_BYTES)
    app.register_blueprint(websocket_route.blueprint(websockets))
    threading.Thread(target=relay.run, name="relay", daemon=True).start()
    threading.Thread(target=namespace_timeout.run, name="namespace timeout", daemon=True).start()
    threading.Thread(target=websockets.run, name="websocket pings", daemon=True).start()
    threading.Thread(target=refusals.run, name="refusals", daemon=True).start()
    if settings.auth == "required":
        threading.Thread(target=connections.run, name="connections", daemon=True).start()
    _collect_rarely()
    app.register_blueprint(metrics_endpoint.blueprint(partial(read_system_counts, store), history.backlog))
    detached = {"socketio": lambda: len(socketio.server.eio.sockets), "websocket": lambda: len(websockets)}
    _serve(socketio, service, detached, settings, number=number, stopping=stopping)
    traces.stop(TRACES_S)
    refusals.flush()
    os._exit(0)  # clients that are still connected do not read


def _serve(  # noqa: PLR0913 - the parts of a gateway
    socketio: Any,
    service: ClientService,
    detached: Mapping[str, Callable[[], int]],
    settings: Settings,
    *,
    number: int | None,
    stopping: threading.Event,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain: complete requests and send queued items.

    The listener is closed before clients are disconnected, because they reconnect at once.
    """
    server, limit = socketio.server, _connection_limit(settings)
    capacity = _wrap(socketio, service.authenticator, detached, settings, limit)
    heartbeat_store = connect(settings, 1, timeout_s=STORE_TIMEOUT_S, retry_timeouts=False)
    heartbeat = ProcessHeartbeat(
        heartbeat_store,
        "gateway",
        REGISTRY,
        lambda: {**capacity.counts(), HEARTBEAT_LATE: service.relay.seconds_since_heartbeat},
    )
    listener = (
        PortListener(listen(settings, "gateway"))
        if number is None
        else DispatchedListener(settings.dispatcher_path, number, lambda: http.count + capacity.detached)
    )
    # Only now, so that a heartbeat shows that this gateway, and not another one, has the port.
    threading.Thread(target=heartbeat.run, name="heartbeat", daemon=True).start()
    if number is not None:
        # The dispatcher routes requests by this number.
        library_patches.prefix_session_ids(server.eio, f"{number}.")
    # Behind the dispatcher, the next request on a connection may be for another gateway's session.
    heads = FairQueue(HEADS, newest_and_oldest()).start() if settings.auth == "required" else None
    http = HttpServer(
        engine,
        listener,
        socketio.sockio_mw.flask_app,
        limit + REST_CONNECTIONS,
        keep_alive=number is None,
        heads=heads,
    )
    http.start()
    log.info("serving on %s, process %d", settings.listen_url, os.getpid())
    http.wait_for_signal()
    if http.failed:
        sys.exit("The gateway stops: its listener failed, so it can accept no more connections.")
    log.info("draining %d connections", http.count + capacity.detached)
    stopping.set()
    listener.close()
    drain(server, service.connections, capacity, FLUSH_S)
    log.info("waiting for %d requests", http.count)
    http.wait_for_requests(DRAIN_S)
    with suppress(RedisError):
        heartbeat.end()


def _wrap(
    socketio: Any,
    authenticator: Authenticator,
    detached: Mapping[str, Callable[[], int]],
    settings: Settings,
    limit: int,
) -> ConnectionLimitMiddleware:
    """Wrap the app in its middleware. Return the connection limits."""
    app = socketio.sockio_mw.flask_app
    # Without authentication all clients have the address of this machine.
    may_open = () if settings.auth == "off" else (AddressRateLimiter(limit).spend,)
    layers: dict[str, Callable[[Any], Any]] = {
        "refuse_early": app.extensions[REFUSE_EARLY],
        "connection_limits": lambda inner: ConnectionLimitMiddleware(inner, detached, limit, *may_open),
        "security": lambda inner: SecurityMiddleware(inner, settings),
    }
    if settings.auth == "required":  # otherwise all clients are on this machine
        layers["queue_fairly"] = lambda inner: queued_fairly(inner, authenticator)
    if settings.proxies:
        layers["proxies"] = lambda inner: ProxyFix(inner, x_for=settings.proxies, x_proto=0, x_host=0)
    capacity: ConnectionLimitMiddleware = library_patches.install_middleware(app, layers)["connection_limits"]
    return capacity


def _connection_limit(settings: Settings) -> int:
    """Return CTO_MAX_SOCKETS, or less if this process may not open that many files."""
    others = REST_CONNECTIONS + OTHER_DESCRIPTORS
    available = allow_descriptors(settings.max_sockets + others) - others
    if available < settings.max_sockets:
        log.info(
            "CTO_MAX_SOCKETS=%d is reduced to %d by the limit of open files", settings.max_sockets, available
        )
    return min(settings.max_sockets, max(available, 1))


def _collect_rarely() -> None:
    """Make full garbage collections rare: each one visits the objects of every connection.

    Events and their frames, the most frequent objects, have no cycles and are freed without it.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


if __name__ == "__main__":
    main()
