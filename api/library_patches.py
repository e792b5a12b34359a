"""The uses of private or replaced parts of the gateway's libraries. Check them when a library is upgraded.

No other module of ``api/`` uses them; tests/unit/test_library_patches.py checks that. A function below
installs one row, or several rows that depend on each other. Functions may be called in any order: the order
of hooks and of middleware is decided here. Optional packages that libraries do without are listed in
:mod:`cto_worker.process_imports`.

What is replaced or private, why, and the test in ``tests/`` that fails without it:

redis-py:

* ``connection._sock``: no public method reads more than one reply at a time.
  Test: ``integration/relay/test_resume.py::test_a_member_that_resumes_gets_no_live_event_twice``.
* ``redis_parser._socket_can_read``: eventlet makes the check of a pooled connection slow.
  Test: ``integration/test_library_patches.py::test_a_pooled_connection_is_checked_by_one_poll``.

Flask and Flask-SocketIO:

* ``app.wsgi_app``: Flask's documented way to add middleware. Flask-SocketIO replaces it first.
  Test: ``unit/test_library_patches.py::test_middleware_has_one_order_whatever_the_order_of_its_names``.
* ``app.full_dispatch_request``: Flask's hooks do not run for requests that an earlier hook refuses.
  Test: ``unit/test_library_patches.py::test_a_request_that_an_earlier_hook_refuses_is_traced``.

eventlet:

* ``hub.squelch_generic_exception``: it prints exceptions, and a log line must be one JSON object.
  Test: ``unit/test_library_patches.py::test_failures_of_callbacks_and_timers_are_logged``.
* ``hub.squelch_timer_exception``: the same.
  Test: ``unit/test_library_patches.py::test_failures_of_callbacks_and_timers_are_logged``.
gevent:

* ``hub.print_exception``: it prints exceptions, and a log line must be one JSON object.
  Test: ``unit/test_library_patches.py::test_failures_of_callbacks_and_timers_are_logged``.
* ``socket._sock``: the only way to write to a socket without waiting until it can be written to.
  Test: ``unit/engines/test_engines.py::test_a_socket_has_its_plain_socket``.

python-engineio:

* ``server._async``: its entry ``websocket`` is the only way to replace the WebSocket of all clients.
  Test: ``unit/server/test_engineio_websocket.py::test_messages_are_handled_one_at_a_time``.
* ``Socket._send_ping``: recognized in the entry ``thread``, for it occupies a thread per client.
  Test: ``unit/server/test_engineio_overrides.py::test_all_clients_wait_for_their_pings_in_one_thread``.
* ``server.create_queue``: the stock queue has no limit.
  Test: ``unit/server/test_engineio_websocket.py::test_messages_are_handled_one_at_a_time``.
* ``Socket.handle_post_request``: the stock method accepts invalid packets, and blocks other threads.
  Test: ``unit/server/test_engineio_overrides.py::test_invalid_or_too_many_posted_packets_end_a_session``.
* ``payload.max_decode_packets``: 16, and a client that reconnects joins all its rooms in one POST.
  Test: ``unit/server/test_engineio_overrides.py::test_a_joined_session_may_post_more_packets_at_once``.
* ``server.handlers connect``: python-socketio's handler keeps the whole request.
  Test: ``unit/server/test_engineio_overrides.py::test_only_the_needed_part_of_a_request_is_kept``.
* ``server.handlers disconnect``: a polling session that has ended stays for 5 s.
  Test: ``unit/server/test_engineio_overrides.py::test_an_ended_session_is_removed_without_another_poll``.
* ``server.handlers message``: messages are not limited.
  Test: ``unit/server/test_engineio_overrides.py::test_a_session_ends_after_a_message_before_it_joined``.
* ``server.generate_id``: the dispatcher needs the gateway's number in the id of a session.
  Test: ``unit/test_library_patches.py::test_ids_of_sessions_have_the_number_of_the_gateway``.

python-socketio:

* ``server._handle_event_internal``: the only method that gets the id of a packet. It also calls handlers of
  events that only the server itself may raise.
  Test: ``unit/server/test_engineio_overrides.py::test_a_client_cannot_raise_an_event_of_the_server``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import redis._parsers.hiredis as redis_parser
from engineio.payload import Payload
from engineio.socket import Socket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flask import Flask

# The WSGI middleware around Flask and Socket.IO, the innermost first.
MIDDLEWARE = (
    "refuse_early",  # needs the caller's name, which ``queue_fairly`` stores
    "queue_fairly",
    "connection_limits",  # must not wait for a caller's turn
    "security",  # so that refusals have the security headers as well
    "proxies",  # every limit by address uses the address of the client
)


def install_middleware(app: Flask, layers: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """Wrap the app in middleware, in the order of :data:`MIDDLEWARE`. Return each layer.

    The values of ``layers`` wrap the WSGI application that they get. Flask-SocketIO must have wrapped the app
    before.
    """
    built = {}
    for name in sorted(layers, key=MIDDLEWARE.index):
        built[name] = app.wsgi_app = layers[name](app.wsgi_app)  # type: ignore[method-assign]
    return built


def wrap_dispatch(app: Flask, dispatch: Callable[..., Any]) -> None:
    """Call ``dispatch(stock, *arguments)`` for each request that Flask handles."""
    app.full_dispatch_request = partial(dispatch, app.full_dispatch_request)  # type: ignore[method-assign]


def socket_of(connection: Any) -> Any:
    """Return the socket of a connection of redis-py."""
    return connection._sock  # noqa: SLF001


def check_store_connections_at_once(select: Any) -> None:
    """Make redis-py check a pooled connection with one system call of the module ``select``.

    It checks before each command. eventlet removes ``select.poll``, and redis-py then uses a selector, which
    waits for a round of the event loop: each command would take two rounds instead of one.
    """
    wait_until_readable = redis_parser._socket_can_read  # noqa: SLF001

    def can_read(sock: Any, timeout: float) -> bool:
        if timeout != 0:
            return wait_until_readable(sock, timeout)
        if hasattr(sock, "pending") and sock.pending():  # TLS has decrypted bytes
            return True
        poller = select.poll()
        poller.register(sock.fileno(), select.POLLIN)
        return bool(poller.poll(0))

    redis_parser._socket_can_read = can_read  # noqa: SLF001


def report_failures(hub: Any, report: Callable[[Any], object]) -> None:
    """Call ``report(exc_info)`` for each exception that ends a callback or a timer of eventlet's hub."""
    hub.squelch_generic_exception = report
    hub.squelch_timer_exception = lambda _, failure: report(failure)


def log_failures_of(hub: Any, report: Callable[[Any], object]) -> None:
    """Call ``report(exc_info)`` for each exception that ends a callback or a green thread of gevent's hub."""
    hub.print_exception = lambda _, *failure: report(failure)


def expose_plain_socket(sockets: Any) -> None:
    """Give a class of gevent's sockets the attribute ``fd``, which eventlet's have: the plain socket."""
    sockets.fd = property(lambda self: self._sock)


@dataclass(frozen=True)
class EngineIOHooks:
    """The replaced parts of an Engine.IO server.

    ``connect``, ``disconnect`` and ``message`` get the stock handler first. ``ping`` gets a session, which is
    to be pinged after the ping interval.
    """

    create_queue: Callable[[], Any]
    receive_post: Callable[[Any, dict[str, Any]], None]
    ping: Callable[[Any], object]
    websocket: Callable[[Any, Any], Any]
    connect: Callable[..., Any]
    disconnect: Callable[..., Any]
    message: Callable[..., Any]


def install_engineio(server: Any, hooks: EngineIOHooks) -> None:
    """Replace parts of an Engine.IO server. Must be called once, before its first client connects."""
    mode = server._async  # noqa: SLF001
    server._async = {  # noqa: SLF001
        **mode,
        "thread": partial(_task, mode["thread"], hooks.ping),
        "websocket": hooks.websocket,
    }
    server.create_queue = hooks.create_queue
    Socket.handle_post_request = hooks.receive_post
    for name in ("connect", "disconnect", "message"):
        server.on(name, partial(getattr(hooks, name), server.handlers[name]))


class _PingTask:
    """Replaces the thread that waits until a client's next ping."""

    __slots__ = ("start",)

    def __init__(self, start: Callable[[], object]) -> None:
        self.start = start


def _task(thread: Any, ping: Callable[[Any], object], target: Any, args: Any = (), kwargs: Any = None) -> Any:
    """Return the object that Engine.IO starts and joins: a green thread, or a :class:`_PingTask`."""
    if getattr(target, "__func__", None) is Socket._send_ping:  # noqa: SLF001
        return _PingTask(partial(ping, target.__self__))
    return thread(target=target, args=args, kwargs=kwargs)


def decode_packets(text: str, most: int) -> list[Any]:
    """Return the packets of a POST. Raises ``ValueError`` when they are invalid or more than ``most``."""
    payload = Payload()
    payload.max_decode_packets = most
    payload.decode(text)
    return payload.packets  # type: ignore[no-any-return]


def prefix_session_ids(server: Any, prefix: str) -> None:
    """Make an Engine.IO server prefix the ids of its sessions."""
    generate_id = server.generate_id
    server.generate_id = lambda: f"{prefix}{generate_id()}"


def wrap_events(server: Any, handle: Callable[..., None]) -> None:
    """Call ``handle(stock, event, packet_id)`` for each event that a Socket.IO server receives.

    ``stock`` needs no arguments. ``packet_id`` is ``None`` when the client expects no answer.
    """
    stock = server._handle_event_internal  # noqa: SLF001

    def wrapped(*arguments: Any) -> None:
        handle(partial(stock, *arguments), arguments[3][0], arguments[-1])

    server._handle_event_internal = wrapped  # noqa: SLF001
