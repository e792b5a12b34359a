"""The gateway's composition root: ``python -m api.wsgi``. The only place that knows eventlet."""

from __future__ import annotations

import warnings

warnings.filterwarnings("ignore", "\nEventlet is deprecated")  # docs/decisions/0004 answers it
import eventlet  # noqa: E402

eventlet.monkey_patch()

# Everything below must be imported after the patch.
import gc  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from eventlet.websocket import (  # noqa: E402
    FailedConnectionError,
    RFC6455WebSocket,
    WebSocketWSGI,
)
from eventlet.wsgi import HttpProtocol  # noqa: E402

from api import streams, websockets  # noqa: E402
from api.app import create_app  # noqa: E402
from api.auth import check_startable  # noqa: E402
from api.relay import Relay  # noqa: E402
from api.sockets import MAX_MESSAGE_BYTES, make_socketio, register  # noqa: E402
from cto_worker import logs  # noqa: E402
from cto_worker.broker import celery_app, make_producer  # noqa: E402
from cto_worker.config import Settings  # noqa: E402
from cto_worker.errors import ConfigError  # noqa: E402
from cto_worker.history import History  # noqa: E402
from cto_worker.redis_journal import RedisJournal  # noqa: E402
from cto_worker.store import connect  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_SOCKETS = 20_000  # eventlet's own limit of 1,024 counts every connection, REST too
MAX_URL_BYTES = 32_768  # 500 job ids and room to spare
# Half of what a client waits at most for "503": it may wait for a connection, and then for the store.
STORE_TIMEOUT_S = 2.5

log = logging.getLogger("api.wsgi")


def main() -> None:
    """Serve until a signal ends the process."""
    try:
        settings = Settings.from_env()
        check_startable(settings)
    except ConfigError as error:
        sys.stderr.write(f"The gateway does not start: {error}\n")
        sys.exit(os.EX_CONFIG)
    logs.configure(settings)
    store = connect(settings, timeout_s=STORE_TIMEOUT_S, retry_timeouts=False)
    history = History(store)
    app = create_app(
        settings,
        store,
        history,
        RedisJournal(store, settings),
        make_producer(settings, store, celery_app(settings)),
    )
    socketio = make_socketio(app, settings, async_mode="eventlet")
    app.wsgi_app = _adapted(app.wsgi_app)  # type: ignore[method-assign]  # as Flask documents it
    relay = Relay(store, history)
    register(socketio, relay, history, settings)
    _bound_messages()
    app.register_blueprint(streams.blueprint(relay, history))
    app.register_blueprint(websockets.blueprint(relay, history, settings, _upgrade))
    threading.Thread(target=relay.run, name="relay", daemon=True).start()
    _collect_rarely()
    log.info("serving on %s", settings.base_url)
    try:
        socketio.run(
            app,
            host=settings.host,
            port=settings.port,
            max_size=MAX_SOCKETS,
            url_length_limit=MAX_URL_BYTES,
            minimum_chunk_size=1,  # a stream's events go out when they come
            log_output=False,
            protocol=_SmallBuffers,
        )
    except OSError as error:
        sys.exit(f"The gateway cannot listen on {settings.host}:{settings.port}: {error}. Is CTO_PORT taken?")


class _SmallBuffers(HttpProtocol):  # type: ignore[misc]  # eventlet ships no types
    """A connection keeps its buffers as long as it lives, and a WebSocket never uses them again."""

    rbufsize = 1_024
    wbufsize = 2_048  # what is larger is written past it


def _collect_rarely() -> None:
    """Keep the garbage collector from looking through every connection each time a few more objects live.

    What a gateway makes in quantity, events and their frames, has no cycles and goes by itself.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _adapted(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Tell Werkzeug and the streams what eventlet knows.

    Werkzeug takes a body that comes in chunks for empty unless told that it ends. eventlet's input does end:
    it puts the chunks together. Werkzeug still counts the bytes. The connection has Werkzeug's name for it.
    """

    def adapted(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["werkzeug.socket"] = environ["eventlet.input"].get_socket()
        if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":  # as eventlet asks
            environ["wsgi.input_terminated"] = True
        return app(environ, start_response)

    return adapted


def _upgrade(handle: Callable[[Any], None]) -> Callable[..., Iterable[bytes]]:
    """A WSGI application that accepts a WebSocket. Compression is not offered (docs/decisions/0006)."""
    accept = WebSocketWSGI(handle, MAX_MESSAGE_BYTES)
    accept.support_legacy_versions = False

    def upgrade(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        return accept(environ, start_response)  # type: ignore[no-any-return]

    return upgrade


def _bound_messages() -> None:
    """Have eventlet's limit hold for a message of many frames too, and text that is none closed with 1007."""

    class Message(RFC6455WebSocket.Message):  # type: ignore[misc]
        size = 0

        def push(self, data: bytes, final: bool = False) -> None:  # noqa: FBT001, FBT002
            self.size += len(data)
            if self.size > self.max_frame_length:
                raise FailedConnectionError(1009, f"A message has at most {self.max_frame_length} bytes")
            super().push(data, final)

        def getvalue(self) -> str | bytes:
            try:
                return super().getvalue()  # type: ignore[no-any-return]
            except UnicodeDecodeError:
                raise FailedConnectionError(1007, "Text must be UTF-8") from None

    RFC6455WebSocket.Message = Message


if __name__ == "__main__":
    main()
