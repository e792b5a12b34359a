"""The handshake of a WebSocket: valid and invalid requests."""

from __future__ import annotations

import pytest

from api.server.protocol_errors import HandshakeError
from api.server.websocket_handshake import handshake

REQUEST = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_CONNECTION": "keep-alive, Upgrade",
    "HTTP_UPGRADE": "WebSocket",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
}


def test_the_answer_to_a_handshake_is_that_of_the_rfc():
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
def test_an_invalid_handshake_is_refused(changed, status):
    with pytest.raises(HandshakeError) as refused:
        handshake(REQUEST | changed)
    assert refused.value.status == status
