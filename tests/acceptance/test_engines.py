"""The whole system on the engine that is not the default."""

from __future__ import annotations

import pytest
from support.clients import EventStream, NodeClient, PythonClient, WebSocketClient


@pytest.fixture
def on_gevent(launch):
    return launch("--no-flower", CTO_ENGINE="gevent").ready()


def test_every_transport_works_on_gevent(on_gevent, opened, user):
    """The other acceptance tests run on it if ``CTO_ENGINE`` is set."""
    room = f"user_{user}"
    clients = [
        opened(NodeClient(on_gevent.url, "websocket", [room])),
        opened(NodeClient(on_gevent.url, "polling", [room])),
        opened(PythonClient(on_gevent.url, "websocket", [room])),
        opened(WebSocketClient(on_gevent, room)),
    ]
    for client in clients[:3]:
        client.wait_for(lambda client: room in client.answers())
    stream = opened(EventStream(on_gevent, f"/api/cto/stream?userId={user}")).reading()
    job_id = on_gevent.submit(userId=user, walletCount=3)
    events = None
    for client in [*clients, stream]:
        client.wait_for(lambda client: job_id in client.ended())
        events = events or on_gevent.events(job_id)
        assert client.events(job_id) == events
    assert "Traceback" not in on_gevent.output()
