"""RFC 6455 on both WebSockets, over raw sockets.

Each case is some frames and their result: an answer (the connection stays open), or a close status.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress

import pytest

LIMIT = 32_768  # bytes of a message
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
FINAL = 0x80
MASK = b"\x37\xfa\x21\x3d"
LIVES = "lives on"


def frame(first, payload=b"", mask=MASK, size=None):
    """Return a frame as a client sends it. ``size`` replaces its true length."""
    length = len(payload) if size is None else size
    bit = 0x80 if mask else 0
    if length < 126:
        head = bytes((first, bit | length))
    elif length < 65_536:
        head = bytes((first, bit | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + length.to_bytes(8, "big")
    if not mask:
        return head + payload
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def text(payload):
    return frame(FINAL | TEXT, payload)


def close(status, reason=b""):
    return frame(FINAL | CLOSE, status.to_bytes(2, "big") + reason)


def split(payload, *places):
    """Return a text message whose frames end at these places."""
    ends = [*places, len(payload)]
    begins = [0, *places]
    frames = []
    for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        first = (0 if number else TEXT) | (FINAL if number == len(places) else 0)
        frames.append(frame(first, payload[begin:end]))
    return b"".join(frames)


class Ws:
    """A message of ``/ws`` with any text in it, and its answer."""

    path = "/ws"
    first_frames = ()

    def message(self, inside="x"):
        return f'{{"type":"ping","id":"{inside}"}}'.encode()

    def answers(self, payload, inside="x"):
        return payload == f'{{"type":"pong","id":"{inside}"}}'.encode()


class SocketIo:
    """The same for ``/socket.io/``."""

    path = "/socket.io/?EIO=4&transport=websocket"
    first_frames = (text(b"40"),)

    def message(self, inside="x"):
        return f'420["leave_room","user_1","{inside}"]'.encode()

    def answers(self, payload, inside="x"):  # noqa: ARG002 - the answer does not contain it
        return payload.startswith(b"430[{")


ENDPOINTS = [Ws(), SocketIo()]


def wrong_frames(message):
    """Return cases by name: frames, and the close status, which is 1002."""
    cases = {}
    for bits in range(1, 8):
        for kind in (TEXT, PING, CLOSE):
            cases[f"reserved bits {bits:03b} of kind {kind}"] = frame(FINAL | bits << 4 | kind)
        cases[f"reserved bits {bits:03b} of a continuation"] = frame(TEXT, message[:3]) + frame(
            FINAL | bits << 4, message[3:]
        )
    for kind in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        cases[f"unknown kind {kind}"] = frame(FINAL | kind)
        cases[f"unknown kind {kind} within a message"] = frame(TEXT, message[:3]) + frame(FINAL | kind)
    for kind in (CLOSE, PING, PONG):
        cases[f"control frame {kind} in pieces"] = frame(kind, b"ab")
        cases[f"control frame {kind} of 126 bytes"] = frame(FINAL | kind, b"x" * 126)
        cases[f"control frame {kind} of 70,000 bytes"] = frame(FINAL | kind, b"x" * 70_000)
        cases[f"control frame {kind} not masked"] = frame(FINAL | kind, mask=b"")
    cases |= {
        "text not masked": frame(FINAL | TEXT, message, mask=b""),
        "binary not masked": frame(FINAL | BINARY, message, mask=b""),
        "continuation not masked": frame(TEXT, message[:3]) + frame(FINAL, message[3:], mask=b""),
        "continuation of nothing": frame(FINAL, message),
        "unfinished continuation of nothing": frame(0, message),
        "continuation after the end": split(message, 3) + frame(FINAL, b"x"),
        "text within a message": frame(TEXT, message[:3]) + text(message),
        "binary within a message": frame(TEXT, message[:3]) + frame(FINAL | BINARY, b"x"),
        "text in pieces within a message": frame(TEXT, message[:3]) + frame(TEXT, message[3:]),
        "close of one byte": frame(FINAL | CLOSE, b"\x03"),
    }
    for status in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535):
        cases[f"close {status}"] = close(status)
    return {name: (sent, 1002) for name, sent in cases.items()}


NO_TEXT = {
    "lone continuation byte": b"\x80",
    "five continuation bytes": b"\x80" * 5,
    "start byte alone": b"\xc3 ",
    "cut off at the end": b"\xe2\x82",
    "overlong slash": b"\xc0\xaf",
    "overlong null": b"\xe0\x80\x80",
    "surrogate": b"\xed\xa0\x80",
    "surrogate pair": b"\xed\xa0\x80\xed\xb0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "FE": b"\xfe",
    "FF": b"\xff",
}


def wrong_messages(message):
    """Return the same for the content of messages."""
    cases = {}
    for name, data in NO_TEXT.items():
        cases[f"not UTF-8: {name}"] = (text(message + data), 1007)
        cases[f"not UTF-8 in pieces: {name}"] = (split(message + data, len(message) + 1), 1007)
        cases[f"not UTF-8 in a close: {name}"] = (close(1000, data), 1007)
    large = message.ljust(LIMIT + 1)
    cases["one byte too large"] = (text(large), 1009)
    cases["too large in two pieces"] = (split(large, LIMIT), 1009)
    cases["too large in many pieces"] = (split(large, *range(1_000, LIMIT, 1_000)), 1009)
    for size in (LIMIT + 1, 65_535, 65_536, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1):
        cases[f"announced size of {size} bytes"] = (frame(FINAL | TEXT, size=size), 1009)
    return cases


def closings():
    """Return the valid close frames by name, and the status of the answer."""
    accepted = (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
    cases = {f"close {status}": (close(status), status) for status in accepted}
    cases |= {f"close {status} with a reason": (close(status, "€".encode()), status) for status in accepted}
    cases["close with the longest reason"] = (close(1000, b"x" * 123), 1000)
    cases["close, and more after it"] = (close(1000) + text(b"more") + frame(0x70), 1000)
    return cases


def accepted(message):
    """Return frames that are one message, by name."""
    cases = {
        "whole": text(message),
        "mask of zeros": frame(FINAL | TEXT, message, mask=b"\0\0\0\0"),
        "mask of ones": frame(FINAL | TEXT, message, mask=b"\xff\xff\xff\xff"),
        "as large as allowed": text(message.ljust(LIMIT)),
        "as large as allowed, in pieces": split(message.ljust(LIMIT), *range(1_000, LIMIT, 1_000)),
        "byte by byte": split(message, *range(1, len(message))),
        "empty first piece": split(message, 0),
        "empty last piece": split(message, len(message)),
        "empty pieces": split(message, 0, 0, 3, 3, 3, len(message), len(message)),
        "after an empty pong": frame(FINAL | PONG) + text(message),
        "after an unsolicited pong": frame(FINAL | PONG, b"x" * 125) + text(message),
        "with a pong within": frame(TEXT, message[:3])
        + frame(FINAL | PONG, b"x")
        + frame(FINAL, message[3:]),
    }
    for size in (125, 126, 127, 128, 255, 256, 1_000, 32_767):
        cases[f"of {size} bytes"] = text(message.ljust(size))
    return cases


@pytest.fixture
def address(system):
    return "127.0.0.1", system.settings.port


@contextmanager
def opened(address, endpoint):
    """Yield an open WebSocket that has received the answers to its first frames."""
    with socket.create_connection(address, timeout=30) as connection:
        status, _, stream = asked(connection, endpoint.path)
        assert status == 101
        connection.sendall(b"".join(endpoint.first_frames))
        for _ in range(2 * len(endpoint.first_frames)):  # Engine.IO's handshake, and Socket.IO's
            assert received(stream)[0] == FINAL | TEXT
        yield connection, stream


def asked(connection, path, method="GET", version="1.1", **changes):
    """Send a handshake. Return the status, the headers and the stream after them."""
    headers = {
        "Host": "127.0.0.1",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    connection.sendall("\r\n".join([f"{method} {path} HTTP/{version}", *lines, "", ""]).encode())
    stream = connection.makefile("rb")
    status = int(stream.readline().split()[1])
    fields = {}
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(": ")
        fields[name.lower()] = value
    return status, fields, stream


def received(stream):
    """Return the first byte and the payload of the next frame; ``None`` at the end."""
    head = stream.read(2)
    if len(head) < 2:
        return None
    size = head[1]
    if size >= 126:
        size = int.from_bytes(stream.read(2 if size == 126 else 8), "big")
    return head[0], stream.read(size)


def outcome(address, endpoint, sent, expected):
    """Send frames. Return the status of the close frame, or ``LIVES`` if the message was answered."""
    with opened(address, endpoint) as (connection, stream):
        with suppress(ConnectionError):  # closed before it has read everything
            connection.sendall(sent)
        while found := received(stream):
            first, payload = found
            if first == FINAL | CLOSE:
                assert stream.read(1) == b"", "and nothing after it"
                return int.from_bytes(payload[:2], "big")
            if expected == LIVES and first == FINAL | TEXT and endpoint.answers(payload):
                return LIVES
        return "no closing frame"


def failing(address, endpoint, cases):
    """Return the cases with another outcome, and their outcomes."""
    found = {name: outcome(address, endpoint, *case) for name, case in cases.items()}
    return {name: end for name, end in found.items() if end != cases[name][1]}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=["ws", "socket.io"])
def test_invalid_frames_close_the_connection(address, endpoint):
    cases = wrong_frames(endpoint.message()) | wrong_messages(endpoint.message())
    assert len(cases) > 100
    assert failing(address, endpoint, cases) == {}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=["ws", "socket.io"])
def test_a_client_may_close_with_any_registered_status(address, endpoint):
    assert failing(address, endpoint, closings()) == {}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=["ws", "socket.io"])
def test_a_message_may_be_split_into_any_frames(address, endpoint):
    cases = accepted(endpoint.message())
    assert failing(address, endpoint, {name: (sent, LIVES) for name, sent in cases.items()}) == {}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=["ws", "socket.io"])
def test_text_may_be_split_within_a_character(address, endpoint):
    inside = "κόσμε \N{GRINNING FACE} \ufffe \U0010ffff"
    message = endpoint.message(inside)
    with opened(address, endpoint) as (connection, stream):
        for place in range(1, len(message)):
            connection.sendall(split(message, place))
            first, payload = received(stream)
            assert (first, endpoint.answers(payload, inside)) == (FINAL | TEXT, True), place


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=["ws", "socket.io"])
def test_every_ping_is_answered_between_and_within_messages(address, endpoint):
    message = endpoint.message()
    pings = [b"", b"x", bytes(range(125)), b"\xff\xfe", b"x" * 125]
    with opened(address, endpoint) as (connection, stream):
        for ping in pings:
            connection.sendall(frame(FINAL | PING, ping))
            assert received(stream) == (FINAL | PONG, ping)
        connection.sendall(frame(TEXT, message[:5]))
        for ping in pings:
            connection.sendall(frame(FINAL | PING, ping) + frame(0))
            assert received(stream) == (FINAL | PONG, ping)
        connection.sendall(frame(FINAL, message[5:]))
        assert endpoint.answers(received(stream)[1])


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=["ws", "socket.io"])
def test_frames_may_arrive_byte_by_byte(address, endpoint):
    with opened(address, endpoint) as (connection, stream):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in split(endpoint.message(), 3) + frame(FINAL | PING, b"now"):
            connection.send(bytes((byte,)))
        assert endpoint.answers(received(stream)[1])
        assert received(stream) == (FINAL | PONG, b"now")


# Name → changed headers, and the status. Without an Upgrade for this connection it is an ordinary GET.
HANDSHAKES = {
    "no key": ({"Sec_WebSocket_Key": None}, 400),
    "empty key": ({"Sec_WebSocket_Key": ""}, 400),
    "short key": ({"Sec_WebSocket_Key": "c2hvcnQ="}, 400),
    "long key": ({"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZSBhbmQgbW9yZQ=="}, 400),
    "key without padding": ({"Sec_WebSocket_Key": KEY.rstrip("=")}, 400),
    "key that is no base64": ({"Sec_WebSocket_Key": "not*base64*not*base64*=="}, 400),
    "key with a space": ({"Sec_WebSocket_Key": "dGhlIHNh XBsZSBub25jZQ=="}, 400),
    "no version": ({"Sec_WebSocket_Version": None}, 426),
    "empty version": ({"Sec_WebSocket_Version": ""}, 426),
    "version 0": ({"Sec_WebSocket_Version": "0"}, 426),
    "version 8": ({"Sec_WebSocket_Version": "8"}, 426),
    "version 14": ({"Sec_WebSocket_Version": "14"}, 426),
    "two versions": ({"Sec_WebSocket_Version": "13, 8"}, 426),
    "HTTP/1.0": ({"version": "1.0"}, 400),
    "upgrade to h2c": ({"Upgrade": "h2c"}, (426, 400)),
    "no upgrade": ({"Upgrade": None}, (426, 400)),
    "connection closes": ({"Connection": "close"}, (426, 400)),
    "connection upgraded": ({"Connection": "upgraded"}, (426, 400)),
    "no connection": ({"Connection": None}, (426, 400)),
    "in a list, in capitals": ({"Connection": "keep-alive, UPGRADE", "Upgrade": "WebSocket"}, 101),
    "extensions": ({"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits"}, 101),
    "protocols": ({"Sec_WebSocket_Protocol": "chat, superchat"}, 101),
}


@pytest.mark.parametrize("number", [0, 1], ids=["ws", "socket.io"])
def test_handshakes_are_answered_as_the_rfc_requires(address, number):
    found, expected = {}, {}
    for name, (changes, status) in HANDSHAKES.items():
        with socket.create_connection(address, timeout=30) as connection:
            found[name], headers, _ = asked(connection, ENDPOINTS[number].path, **changes)
        expected[name] = status if isinstance(status, int) else status[number]
        if found[name] == 426:
            assert (headers["sec-websocket-version"], headers["upgrade"]) == ("13", "websocket"), name
        if found[name] == 101:
            assert headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", name
            assert headers.keys().isdisjoint({"sec-websocket-extensions", "sec-websocket-protocol"}), name
    assert found == expected
