"""A node between a market and the local chain that fails in one way, for all orders."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from cto_worker.testing.market_bench import Fault


class FaultyNode:
    """Forwards JSON-RPC to a chain. A blind node answers as of its start."""

    def __init__(self, chain, fault):
        self.chain = chain
        self.fault = fault
        self.finalized = chain.call("getEpochInfo", {"commitment": "finalized"})
        self.slot = chain.call("getSlot", {"commitment": "confirmed"})
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                node.handle(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=[0.05], daemon=True).start()

    def handle(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        call = json.loads(body)
        sends = call["method"] == "sendTransaction"
        if sends and self.fault is Fault.DROPPED:
            request.close_connection = True
            return
        answer = self.answer(call, body)
        if sends and self.fault is Fault.LOST_REPLY:
            request.close_connection = True
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)

    def answer(self, call, body):
        blind = self.fault is Fault.BLIND
        if blind and call["method"] == "getEpochInfo":
            result = self.finalized
        elif blind and call["method"] == "getSignatureStatuses":
            result = {"context": {"slot": self.slot}, "value": [None] * len(call["params"][0])}
        else:
            return requests.post(self.chain.url, data=body, timeout=30).content
        return json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}).encode()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
