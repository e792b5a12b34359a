"""A running system, and connected clients."""

from __future__ import annotations

from contextlib import closing, contextmanager

import pytest
from acceptance.guarded import CALLERS, INVALID
from support.clients import EventStream, NodeClient, PythonClient, WebSocketClient
from support.deployment import Deployment
from support.processes import environment
from support.samples import new_user
from support.system import System
from support.tokens import GUARDED


@pytest.fixture(scope="session")
def system(until_group_ends):
    """One running system for all tests of this process. Each test uses users of its own.

    Two orders are in flight, and not ten, so that a test can interrupt a client during an operation.
    """
    slowly = environment(CTO_OPERATION_PARALLELISM="2", CTO_PAPER_LATENCY_MS="40")
    return until_group_ends(closing(System(slowly, "--no-flower").ready()))


@pytest.fixture(scope="session")
def guarded(until_group_ends):
    """One running system that requires tokens. No token may appear in its logs."""
    return until_group_ends(_guarded())


@contextmanager
def _guarded():
    with closing(System(environment(**GUARDED), "--no-flower").ready()) as system:
        yield system
        assert system.stop() == 0
        output = system.output()
        for text in [*filter(None, INVALID.values()), *CALLERS.values()]:
            assert text == "garbage" or text not in output


@pytest.fixture(scope="session")
def composed(until_group_ends):
    """The services of docker-compose.yml, for all tests of this process."""
    return until_group_ends(_composed())


@contextmanager
def _composed():
    deployment = Deployment()
    deployment.services["worker"]["environment"]["CTO_OPERATION_PARALLELISM"] = "1"  # for long operations
    try:
        yield deployment.up()
    finally:
        deployment.down()


@pytest.fixture
def launch(opened):
    """Start further systems: ``launch(*arguments, **settings)``."""
    return lambda *arguments, **settings: opened(System(environment(**settings), *arguments))


@pytest.fixture
def user():
    return new_user()


@pytest.fixture
def connect_client(system, opened):
    """Connect Socket.IO clients: ``connect_client("node" or "python", transport, *rooms)``."""

    def connect_client(kind, transport, *rooms):
        make = NodeClient if kind == "node" else PythonClient
        client = opened(make(system.url, transport, rooms))
        return client.wait_for(lambda client: len(client.answers()) == len(set(rooms)))

    return connect_client


@pytest.fixture
def stream(system, opened):
    """Open streams that are read in the background: ``stream(path, last_event_id)``."""

    def stream(path, last_event_id=None):
        client = opened(EventStream(system, path, last_event_id))
        assert client.response.status == 200, client.response.read()
        assert client.response.headers["Content-Type"].startswith("text/event-stream")
        return client.reading()

    return stream


@pytest.fixture
def open_websocket(system, opened):
    """Open WebSockets at ``/ws``: ``open_websocket(*rooms)``."""
    return lambda *rooms, **options: opened(WebSocketClient(system, *rooms, **options))


@pytest.fixture
def slow_stream(system, opened):
    """Open a stream, and do not read it."""
    return lambda path: opened(EventStream(system, path, receive_buffer=4_096))
