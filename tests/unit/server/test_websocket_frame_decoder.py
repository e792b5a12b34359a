"""Frames of WebSocket clients: valid, invalid, and split anywhere."""

from __future__ import annotations

import pytest

from api.relay.websocket_frame_encoder import BINARY, CLOSE, FRAGMENT, PING, TEXT
from api.server.protocol_errors import WebSocketError
from api.server.websocket_frame_decoder import FrameDecoder, close_status, text_of

LIMIT = 70_000


def client_frame(first, payload=b"", mask=b"\x01\x80\xfe\x7f"):
    """Return a frame as a client sends it."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, LIMIT])
def test_a_message_of_any_length_is_unmasked(size):
    payload = bytes(range(256)) * (size // 256 + 1)
    assert list(FrameDecoder(LIMIT).read(client_frame(0x82, payload[:size]))) == [(BINARY, payload[:size])]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_messages_are_the_same_however_their_bytes_arrive(size):
    """A ping may come between the frames of a message."""
    data = (
        client_frame(0x81, b"one")
        + client_frame(1, b"t")
        + client_frame(0x89, b"?")
        + client_frame(0, b"w")
        + client_frame(0x80, b"o")
        + client_frame(0x82)
    )
    decoder, found = FrameDecoder(LIMIT), []
    for at in range(0, len(data), size):
        found += decoder.read(data[at : at + size])
    fragment = (FRAGMENT, b"")
    assert found == [(TEXT, b"one"), fragment, (PING, b"?"), fragment, (TEXT, b"two"), (BINARY, b"")]


def test_unread_messages_are_kept_for_the_next_read():
    decoder = FrameDecoder(LIMIT)
    assert next(decoder.read(client_frame(0x81, b"one") + client_frame(0x81, b"two"))) == (TEXT, b"one")
    assert list(decoder.read()) == [(TEXT, b"two")]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x81\x01x", 1002),  # not masked
        (client_frame(0xC1, b"x"), 1002),  # compressed, which was not offered
        (client_frame(0xA1, b"x"), 1002),
        (client_frame(0x91, b"x"), 1002),
        (client_frame(0x83), 1002),
        (client_frame(0x8B), 1002),
        (client_frame(0x09), 1002),  # a ping in fragments
        (client_frame(0x89, b"x" * 126), 1002),
        (client_frame(0x80, b"x"), 1002),  # continues no message
        (client_frame(0x01, b"x") + client_frame(0x81, b"x"), 1002),
        (client_frame(0x81, b"x" * (LIMIT + 1)), 1009),
        (client_frame(0x81, b"x" * (LIMIT + 1))[:10], 1009),  # before all of it has arrived
        (client_frame(0x01, b"x" * LIMIT) + client_frame(0x80, b"x"), 1009),
    ],
)
def test_an_invalid_frame_raises_after_the_messages_before_it(data, status):
    decoder = FrameDecoder(LIMIT)
    assert next(decoder.read(client_frame(0x81, b"fine") + data)) == (TEXT, b"fine")
    with pytest.raises(WebSocketError) as wrong:
        list(decoder.read())
    assert wrong.value.status == status


def test_a_ping_does_not_count_for_the_size_of_a_message():
    data = client_frame(0x01, b"x" * LIMIT) + client_frame(0x89, b"?") + client_frame(0x80)
    assert list(FrameDecoder(LIMIT).read(data)) == [(FRAGMENT, b""), (PING, b"?"), (TEXT, b"x" * LIMIT)]


def test_text_must_be_utf_8():
    assert text_of("€".encode()) == "€"
    with pytest.raises(WebSocketError) as wrong:
        text_of(b"\xff")
    assert wrong.value.status == 1007


@pytest.mark.parametrize(
    ("payload", "status"), [(b"", 1000), (b"\x03\xe8", 1000), (b"\x0f\xa0bye", 4000), (b"\x03\xf6", 1014)]
)
def test_a_close_frame_contains_a_status(payload, status):
    ((opcode, received),) = FrameDecoder(LIMIT).read(client_frame(0x88, payload))
    assert opcode == CLOSE
    assert close_status(received) == status


@pytest.mark.parametrize("payload", [b"\x03", b"\x00\x00", b"\x03\xed", b"\x03\xe8\xff"])
def test_an_invalid_close_payload_is_refused(payload):
    with pytest.raises(WebSocketError):
        close_status(payload)
