"""A gateway's own port: addresses are served in turn."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from api.server.connection_sources import BACKLOG, PortListener

BURST = 200


@pytest.fixture
def opened():
    with ExitStack() as sockets:
        yield sockets.enter_context


@pytest.fixture
def port_listener(opened):
    listening = opened(socket.socket())
    listening.bind(("127.0.0.1", 0))
    listening.listen(BACKLOG)
    return PortListener(listening)


def connect(listener, address):
    return socket.create_connection(listener.getsockname(), timeout=30, source_address=(address, 0))


def accept(listener, count, opened):
    """Accept connections. Return their peers' addresses."""
    accepted = [listener.accept() for _ in range(count)]
    for connection, _ in accepted:
        opened(connection)
    return [peer for _, peer in accepted]


def test_a_burst_of_connections_from_one_address_does_not_delay_another_address(port_listener, opened):
    for _ in range(BURST):
        opened(connect(port_listener, "127.0.0.1"))
    opened(connect(port_listener, "127.0.0.2"))
    hosts = [host for host, _ in accept(port_listener, BURST + 1, opened)]
    assert hosts.index("127.0.0.2") < BURST / 4


def test_a_client_that_arrives_after_a_burst_from_its_own_address_is_accepted_soon(port_listener, opened):
    for _ in range(BURST):
        opened(connect(port_listener, "127.0.0.1"))
    late = opened(connect(port_listener, "127.0.0.1"))
    peers = accept(port_listener, BURST + 1, opened)
    assert peers.index(late.getsockname()) < BURST / 4


def test_every_connection_of_a_burst_is_accepted_once_and_the_oldest_do_not_wait_for_all(
    port_listener, opened
):
    clients = [opened(connect(port_listener, "127.0.0.1")).getsockname() for _ in range(BURST)]
    peers = accept(port_listener, BURST, opened)
    assert sorted(peers) == sorted(clients)
    assert max(peers.index(client) for client in clients[:10]) < BURST / 4
