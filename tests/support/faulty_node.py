"""A node between a market and the local chain that fails in one way, for all orders."""

from __future__ import annotations

import json
from collections import Counter

import requests

from cto_worker.testing.market_bench import Fault
from support.local_server import Handler, LocalServer


class FaultyNode(LocalServer):
    """Forwards JSON-RPC to a chain. A blind node answers as of its start."""

    def __init__(self, chain, fault):
        self.chain = chain
        self.fault = fault
        self.finalized = chain.call("getEpochInfo", {"commitment": "finalized"})
        self.slot = chain.call("getSlot", {"commitment": "confirmed"})
        self.calls = Counter()  # by method
        node = self

        class Calls(Handler):
            def respond(self):
                node.handle(self)

        super().__init__(Calls)

    def handle(self, request):
        body = request.body()
        call = json.loads(body)
        self.calls[call["method"]] += 1
        sends = call["method"] == "sendTransaction"
        if sends and self.fault is Fault.DROPPED:
            request.close_connection = True
            return
        answer = self.answer(call, body)
        if sends and self.fault is Fault.LOST_REPLY:
            request.close_connection = True
            return
        request.answer(200, answer)

    def answer(self, call, body):
        blind = self.fault is Fault.BLIND
        if blind and call["method"] == "getEpochInfo":
            result = self.finalized
        elif blind and call["method"] == "getSignatureStatuses":
            result = {"context": {"slot": self.slot}, "value": [None] * len(call["params"][0])}
        else:
            return requests.post(self.chain.url, data=body, timeout=30).content
        return json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}).encode()
