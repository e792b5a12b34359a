"""What a WebSocket's client sends, whole or in pieces, right or wrong."""

from __future__ import annotations

import pytest

from api.errors import HandshakeError, WebSocketError
from api.server.websocket import (
    BINARY,
    CLOSE,
    PIECE,
    PING,
    TEXT,
    FrameDecoder,
    close_status,
    handshake,
    text_of,
)

LIMIT = 70_000
REQUEST = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_CONNECTION": "keep-alive, Upgrade",
    "HTTP_UPGRADE": "WebSocket",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
}


def sent(first, payload=b"", mask=b"\x01\x80\xfe\x7f"):
    """A frame as a client sends it."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def test_the_answer_to_a_handshake_is_the_one_of_the_rfc():
    answer = handshake(REQUEST)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" in answer


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"HTTP_CONNECTION": "keep-alive"}, 400),
        ({"HTTP_CONNECTION": "upgraded"}, 400),
        ({"HTTP_UPGRADE": "h2c"}, 400),
        ({"REQUEST_METHOD": "HEAD"}, 400),
        ({"SERVER_PROTOCOL": "HTTP/1.0"}, 400),
        ({"HTTP_SEC_WEBSOCKET_KEY": ""}, 400),
        ({"HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZQ=="}, 400),  # too short
        ({"HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZSE="}, 400),  # too long
        ({"HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ"}, 400),
        ({"HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSB*b25jZQ=="}, 400),
        ({"HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZ\xe9=="}, 400),
        ({"HTTP_SEC_WEBSOCKET_VERSION": "12"}, 426),
        ({"HTTP_SEC_WEBSOCKET_VERSION": "8"}, 426),
        ({"HTTP_SEC_WEBSOCKET_VERSION": ""}, 426),
    ],
)
def test_what_is_no_handshake_is_refused(changed, status):
    with pytest.raises(HandshakeError) as refused:
        handshake(REQUEST | changed)
    assert refused.value.status == status


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, LIMIT])
def test_a_message_of_any_length_is_unmasked(size):
    payload = bytes(range(256)) * (size // 256 + 1)
    assert list(FrameDecoder(LIMIT).read(sent(0x82, payload[:size]))) == [(BINARY, payload[:size])]


@pytest.mark.parametrize("pieces", [1, 2, 3, 7])
def test_messages_are_the_same_however_their_bytes_come(pieces):
    """A ping may come between the frames of a message."""
    data = (
        sent(0x81, b"one") + sent(1, b"t") + sent(0x89, b"?") + sent(0, b"w") + sent(0x80, b"o") + sent(0x82)
    )
    incoming, found = FrameDecoder(LIMIT), []
    for at in range(0, len(data), pieces):
        found += incoming.read(data[at : at + pieces])
    piece = (PIECE, b"")
    assert found == [(TEXT, b"one"), piece, (PING, b"?"), piece, (TEXT, b"two"), (BINARY, b"")]


def test_what_is_not_asked_for_is_kept():
    incoming = FrameDecoder(LIMIT)
    assert next(incoming.read(sent(0x81, b"one") + sent(0x81, b"two"))) == (TEXT, b"one")
    assert list(incoming.read()) == [(TEXT, b"two")]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x81\x01x", 1002),  # not masked
        (sent(0xC1, b"x"), 1002),  # compressed, which was not offered
        (sent(0xA1, b"x"), 1002),
        (sent(0x91, b"x"), 1002),
        (sent(0x83), 1002),
        (sent(0x8B), 1002),
        (sent(0x09), 1002),  # a ping that goes on
        (sent(0x89, b"x" * 126), 1002),
        (sent(0x80, b"x"), 1002),  # goes on with nothing
        (sent(0x01, b"x") + sent(0x81, b"x"), 1002),
        (sent(0x81, b"x" * (LIMIT + 1)), 1009),
        (sent(0x81, b"x" * (LIMIT + 1))[:10], 1009),  # before it has come
        (sent(0x01, b"x" * LIMIT) + sent(0x80, b"x"), 1009),
    ],
)
def test_what_must_not_be_sent_is_told(data, status):
    incoming = FrameDecoder(LIMIT)
    assert next(incoming.read(sent(0x81, b"fine") + data)) == (TEXT, b"fine")
    with pytest.raises(WebSocketError) as wrong:
        list(incoming.read())
    assert wrong.value.status == status


def test_a_ping_does_not_count_for_a_message():
    data = sent(0x01, b"x" * LIMIT) + sent(0x89, b"?") + sent(0x80)
    assert list(FrameDecoder(LIMIT).read(data)) == [(PIECE, b""), (PING, b"?"), (TEXT, b"x" * LIMIT)]


def test_text_must_be_utf_8():
    assert text_of("€".encode()) == "€"
    with pytest.raises(WebSocketError) as wrong:
        text_of(b"\xff")
    assert wrong.value.status == 1007


@pytest.mark.parametrize(
    ("payload", "status"), [(b"", 1000), (b"\x03\xe8", 1000), (b"\x0f\xa0bye", 4000), (b"\x03\xf6", 1014)]
)
def test_a_client_says_why_it_closes(payload, status):
    ((kind, told),) = FrameDecoder(LIMIT).read(sent(0x88, payload))
    assert kind == CLOSE
    assert close_status(told) == status


@pytest.mark.parametrize("payload", [b"\x03", b"\x00\x00", b"\x03\xed", b"\x03\xe8\xff"])
def test_a_reason_that_is_none_is_told(payload):
    with pytest.raises(WebSocketError):
        close_status(payload)
