"""An aggregator that changes the offers of a local chain before it returns them."""

from __future__ import annotations

import base64
import json

import requests
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from support.local_server import Handler, LocalServer


class HostileAggregator(LocalServer):
    """``change`` replaces members of each offer."""

    def __init__(self, chain, change):
        class Offers(Handler):
            def respond(self):
                with requests.get(f"{chain.url}/swap/v2{self.path}", timeout=30) as response:
                    self.answer(200, json.dumps(response.json() | change).encode())

        super().__init__(Offers)


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
