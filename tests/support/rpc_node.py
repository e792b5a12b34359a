"""A stub of a Solana node: an HTTP server whose answers a test chooses."""

from __future__ import annotations

import json

from support.local_server import Handler, LocalServer


class RpcNode(LocalServer):
    """An HTTP server whose ``reply`` returns the status and the body for a call."""

    def __init__(self):
        self.calls = []
        self.reply = lambda call: (200, {"jsonrpc": "2.0", "id": call["id"], "result": call["method"]})
        node = self

        class Calls(Handler):
            def respond(self):
                call = json.loads(self.body())
                node.calls.append(call["method"])
                status, document = node.reply(call)
                if status is None:
                    self.connection.close()
                    self.close_connection = True
                    return
                self.answer(
                    status, document if isinstance(document, bytes) else json.dumps(document).encode()
                )

        super().__init__(Calls)
        self.url += "/?api-key=secret-key"

    def results(self, results):
        """Answer each method with its result."""
        self.reply = lambda call: (
            200,
            {"jsonrpc": "2.0", "id": call["id"], "result": results[call["method"]]},
        )
