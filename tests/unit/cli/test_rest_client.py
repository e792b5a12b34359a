"""Responses that do not come from a gateway, and those that do not come at all."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import closing

import pytest
from support.local_server import Handler, LocalServer

from api.cli import rest_client
from api.cli.rest_client import GatewayError, RestClient

OTHER_JSON = [
    {"message": "Not Found"},
    {"success": False, "error": "not found"},
    {"success": False, "error": {"code": 404}},
    {"success": False},
    {"success": True},
    {"status": "ok", "success": "yes"},
    ["no object"],
    "text",
    None,
]


class Answering(Handler):
    """Answers with ``document``."""

    document = None

    def respond(self):
        self.answer(404, json.dumps(type(self).document).encode())


def test_json_of_another_server_is_not_taken_for_a_gateways():
    with closing(LocalServer(Answering)) as server:
        for Answering.document in OTHER_JSON:
            with pytest.raises(GatewayError, match="does not respond like a gateway") as failed:
                RestClient(server.url).get("/")
            assert failed.value.code == "unreachable", Answering.document


def test_a_refusal_names_the_code_and_the_fields():
    texts = {"code": "invalid_request", "message": "wrong", "details": {"fields": {"mode": ["Must be x."]}}}
    with closing(LocalServer(Answering)) as server:
        Answering.document = {"success": False, "error": texts}
        with pytest.raises(GatewayError, match=r"^invalid_request\n  mode: Must be x\.$"):
            RestClient(server.url).get("/")
        nested = {"fields": {"wallets": {"0": ["Must be x."]}}}
        Answering.document = {"success": False, "error": texts | {"details": nested}}
        with pytest.raises(GatewayError, match=r"^invalid_request\n  wallets: 0: Must be x\.$"):
            RestClient(server.url).get("/")
        Answering.document = {"success": False, "error": texts | {"details": {"other": 1}}}
        with pytest.raises(GatewayError, match=r"^invalid_request: wrong$"):
            RestClient(server.url).get("/")


def test_an_end_of_line_between_two_chunks_is_one():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def respond():
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for chunk in (b"a\r", b"\nb\r\n", b"c\r\n", b""):
                    connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))

        thread = threading.Thread(target=respond)
        thread.start()
        client = RestClient(f"http://127.0.0.1:{server.getsockname()[1]}")
        assert list(client.lines("/")) == ["a", "b", "c"]
        thread.join()


def test_a_gateway_that_does_not_respond_in_time_is_not_called_something_else(monkeypatch):
    monkeypatch.setattr(rest_client, "TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = RestClient(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(GatewayError, match=r"^timeout: no response from http://\S+ within 0\.1 s"):
            client.get("/api/cto/jobs")
        with pytest.raises(GatewayError, match=r"may have been executed\. Check .* before you repeat it"):
            client.post("/api/cto/jobs", {})
