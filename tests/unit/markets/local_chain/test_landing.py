"""The landing rule on the real runtime: faulty nodes, expired orders, and no second execution."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from solders.hash import Hash
from solders.keypair import Keypair
from support.local_chain import NodeOf
from support.solana import SOL, transfer_of

from cto_worker.markets.solana.chain_reader import ChainReader
from cto_worker.markets.solana.landing_rule import Fate, SentOrder
from cto_worker.markets.solana.orders.shared_fates import SharedFates
from cto_worker.markets.solana.rpc_client import NoAnswerError, Providers, RefusedError

INTENTS = 40
STEP_BLOCKS = 25
FAULTS = {"drop": 0.5, "delay": 0.86, "delay_blocks": 170, "lag_blocks": 60}


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
        fates = fates_of(reader, [intent.orders[-1][0] for intent in waiting if intent.orders])
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


def fates_of(reader, orders):
    return SharedFates(reader, interval_s=0).fates(orders)


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
    assert fates_of(reader, [order]) == {order.signature: Fate.LANDED}
    assert reader.transaction(order.signature)["meta"]["postBalances"][1] == SOL
    with pytest.raises(RefusedError, match="already been processed"):
        reader.send(bytes(transaction), preflight=True)


def test_a_node_without_the_blockhash_rejects_no_order(chain):
    """The order is prepared again: the wallet could pay, and the price is right."""
    key, reader = chain.funded(), ChainReader(Providers([NodeOf(chain, "/")]))
    _, transaction = signed_order(chain, reader, key, Keypair().pubkey())
    chain.produce(151)
    with pytest.raises(NoAnswerError, match="does not know the blockhash"):
        reader.simulate(bytes(transaction), [str(key.pubkey())])


def test_a_simulation_of_another_form_is_no_answer():
    for answer in ({}, {"value": None}, {"value": {}}, {"value": []}, []):
        reader = ChainReader(SimpleNamespace(read=lambda *_, answer=answer: answer))
        with pytest.raises(NoAnswerError, match="simulateTransaction"):
            reader.simulate(b"", [])


def test_two_nodes_behind_one_address_do_not_prove_an_expiry_together(chain):
    """One node knows that the last valid block is final, the other has not seen the order land."""

    class LoadBalancer(NodeOf):
        lagging = None

        def call(self, method, *params):
            if self.lagging and method == "getSignatureStatuses":
                return self.lagging
            return super().call(method, *params)

    key, provider = chain.funded(), LoadBalancer(chain, "/")
    reader = ChainReader(Providers([provider]))
    orders = [signed_order(chain, reader, key, Keypair().pubkey()) for _ in range(2)]
    landed, lost = (order for order, _ in orders)
    provider.lagging = provider.call("getSignatureStatuses", [landed.signature, lost.signature], {})
    chain.send(orders[0][1])
    chain.produce(190)
    assert fates_of(reader, [landed, lost]) == dict.fromkeys((landed.signature, lost.signature), Fate.PENDING)
    provider.lagging = None
    assert fates_of(reader, [landed, lost]) == {
        landed.signature: Fate.LANDED,
        lost.signature: Fate.EXPIRED,
    }
