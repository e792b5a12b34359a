"""The landing rule on the real runtime: faulty nodes, expired orders, and no second execution."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from solders.hash import Hash
from solders.keypair import Keypair
from support.local_chain import RpcAnswerError
from support.solana import SOL, transfer_of

from cto_worker.markets.solana.chain_reader import ChainReader
from cto_worker.markets.solana.landing_rule import Fate, SentOrder
from cto_worker.markets.solana.rpc_client import Providers, RefusedError

INTENTS = 40
STEP_BLOCKS = 25
FAULTS = {"drop": 0.5, "delay": 0.86, "delay_blocks": 170, "lag_blocks": 60}


class NodeOf:
    """A provider that is a node of a chain in this process."""

    def __init__(self, chain, path):
        self.chain, self.path = chain, path

    def call(self, method, *params):
        try:
            return self.chain.call(method, *params, node=self.path)
        except RpcAnswerError as error:
            raise RefusedError(
                self.path, method, error.args[0]["code"], error.args[0]["message"], None
            ) from error


@dataclass
class Intent:
    """A transfer that must execute once, and its orders on the client's disk."""

    destination: object
    orders: list = field(default_factory=list)
    landed: bool = False


def test_every_transfer_executes_once_however_the_nodes_fail(chain):
    key, chance = chain.funded(1_000), random.Random(5)
    reader = ChainReader(Providers([NodeOf(chain, "/"), NodeOf(chain, "/second")]))
    for seed, node in enumerate(("/", "/second")):
        chain.call("localSetFaults", {**FAULTS, "seed": seed}, node=node)
    chain.produce(100)
    intents = [Intent(Keypair().pubkey()) for _ in range(INTENTS)]
    for _ in range(100):
        waiting = [intent for intent in intents if not intent.landed]
        if not waiting:
            break
        fates = reader.fates([intent.orders[-1][0] for intent in waiting if intent.orders])
        for intent in waiting:
            known = fates[intent.orders[-1][0].signature] if intent.orders else Fate.EXPIRED
            assert known is not Fate.FAILED
            intent.landed = known is Fate.LANDED
            if known is Fate.EXPIRED:
                intent.orders.append(signed_order(chain, reader, key, intent.destination))
            elif known is Fate.PENDING and chance.random() < 0.9:
                chain.send(intent.orders[-1][1], node=chance.choice(["/", "/second"]))
        chain.produce(STEP_BLOCKS)
    chain.produce(200)  # the sends that are still under way
    assert [chain.balance(intent.destination) for intent in intents] == [SOL] * INTENTS
    assert sum(len(intent.orders) - 1 for intent in intents) > 5, "no order expired"
    chain.assert_conserved()


def signed_order(chain, reader, key, destination):
    """Return a new order with its transaction, as a market keeps it before it sends."""
    latest = reader.latest_blockhash()
    transaction = transfer_of(key, destination, SOL, Hash.from_string(latest.blockhash))
    order = SentOrder(
        str(transaction.signatures[0]),
        latest.last_valid_block_height,
        latest.slot,
        chain.call("getGenesisHash"),
    )
    return order, transaction


def test_the_reader_reads_a_chain(chain):
    key = chain.funded()
    reader = ChainReader(Providers([NodeOf(chain, "/")]))
    assert reader.genesis_hashes() == [chain.call("getGenesisHash")] * reader.provider_count
    assert reader.rent_exemption(165) == 2_039_280
    stranger = Keypair().pubkey()
    wanted = [str(key.pubkey()), *[str(stranger)] * 120]
    assert reader.balances(wanted) == {str(key.pubkey()): 10 * SOL, str(stranger): 0}
    order, transaction = signed_order(chain, reader, key, stranger)
    simulated = reader.simulate(bytes(transaction), [str(stranger)])
    assert (simulated["err"], simulated["accounts"][0]["lamports"]) == (None, SOL)
    reader.send(bytes(transaction), preflight=True)
    chain.produce(2)
    assert reader.fates([order]) == {order.signature: Fate.LANDED}
    assert reader.transaction(order.signature)["meta"]["postBalances"][1] == SOL
    with pytest.raises(RefusedError, match="already been processed"):
        reader.send(bytes(transaction), preflight=True)
