"""An aggregator that changes the offers of a local chain before it returns them."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer


class HostileAggregator:
    """``change`` replaces members of each offer."""

    def __init__(self, chain, change):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                with requests.get(f"{chain.url}/swap/v2{self.path}", timeout=30) as response:
                    body = json.dumps(response.json() | change).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=[0.05], daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def instruction_document(source, destination, lamports):
    """Return a transfer in the form of the aggregator's interface."""
    payer, payee = Pubkey.from_string(source), Pubkey.from_string(destination)
    made = transfer(TransferParams(from_pubkey=payer, to_pubkey=payee, lamports=lamports))
    return {
        "programId": str(made.program_id),
        "accounts": [
            {"pubkey": str(each.pubkey), "isSigner": each.is_signer, "isWritable": each.is_writable}
            for each in made.accounts
        ],
        "data": base64.b64encode(bytes(made.data)).decode(),
    }
