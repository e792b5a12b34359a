"""The gateway parses HTTP/1.1 as RFC 9112 requires, and never confuses the bounds of requests."""

from __future__ import annotations

import json
import socket
from contextlib import suppress

import pytest
from support.http_cases import CASES, HALF_CLOSED

# Its status differs from that of every case, which shows whether it was answered.
NEXT = b"GET /next-request HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
NEXT_STATUS = 404


def exchange(port, data, *, half_closes=False):
    """Send everything at once, and return what is received until the server closes the connection."""
    received = b""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    with connection, suppress(ConnectionError):  # it may close before it has read everything
        connection.sendall(data)
        if half_closes:
            connection.shutdown(socket.SHUT_WR)
        while more := connection.recv(65_536):
            received += more
    return received


def responses(received, method):
    """Yield status, header fields and body of each response. Raises ``ValueError`` for an invalid one."""
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        version, status, _ = first.split(" ", 2)
        if not end or version != "HTTP/1.1":
            raise ValueError(first)
        fields = dict(line.lower().split(": ", 1) for line in lines)
        size = 0 if method == b"HEAD" else int(fields["content-length"])
        method = b""
        if len(rest) < size:
            raise ValueError(f"{len(rest)} bytes of {size}")
        yield int(status), fields, rest[:size]
        received = rest[size:]


def fault(case, received, wanted):
    """Return what is wrong with the responses to a case, whose statuses are ``wanted``, or ``None``."""
    try:
        found = list(responses(received, case.data.split(b" ")[0]))
    except (ValueError, KeyError) as error:
        return f"no response: {error!r}"
    if [status for status, _, _ in found] != wanted:
        return f"{[status for status, _, _ in found]} instead of {wanted}"
    _, fields, body = found[0]
    if case.error is None or not body:
        return None
    failure = json.loads(body)["error"]
    if case.error not in (failure["code"], (failure["code"], failure["message"])):
        return f"{failure} instead of {case.error}"
    return wrong_refusal(fields) if case.ends else None


def wrong_refusal(fields):
    """Return the wrong header fields of a refusal, or ``None``. It announces that the connection ends."""
    wanted = {"connection": "close", "content-type": "application/json"}
    return None if wanted.items() <= fields.items() and "date" in fields else f"wrong header fields: {fields}"


@pytest.mark.parametrize("group", dict.fromkeys(case.group for case in CASES))
def test_a_request_is_answered_as_the_rfcs_require(system, group):
    faults = {}
    for case in (case for case in CASES if case.group == group):
        received = exchange(system.settings.port, case.data + NEXT)
        if wrong := fault(case, received, [case.status] if case.ends else [case.status, NEXT_STATUS]):
            faults[case.name] = wrong
    assert not faults


def test_a_half_closed_connection_gets_a_response(system):
    faults = {}
    for case in HALF_CLOSED:
        received = exchange(system.settings.port, case.data, half_closes=True)
        if wrong := fault(case, received, [case.status]):
            faults[case.name] = wrong
    assert not faults
