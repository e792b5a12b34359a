"""Queries of the fates of orders that threads share, against a stub of a node."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.rpc_node import RpcNode
from support.waiting import wait_until

from cto_worker.markets.solana.chain_reader import ChainReader
from cto_worker.markets.solana.landing_rule import Fate, SentOrder
from cto_worker.markets.solana.orders.shared_fates import SharedFates
from cto_worker.markets.solana.rpc_client import Provider, Providers

OPERATIONS = 30
STATUSES = "getSignatureStatuses"


class Chain:
    """A node that has confirmed the orders in ``landed``, and waits for ``released`` before it says so."""

    def __init__(self):
        self.landed = set()
        self.released = threading.Event()
        self.released.set()
        self.node = RpcNode()
        self.node.reply = self.reply

    def reply(self, call):
        results = {
            "getGenesisHash": "genesis",
            "getFirstAvailableBlock": 0,
            "getEpochInfo": {"blockHeight": 100, "absoluteSlot": 100},
        }
        if call["method"] == STATUSES:
            landed = set(self.landed)
            self.released.wait()
            results[STATUSES] = {
                "context": {"slot": 120},
                "value": [
                    {"confirmationStatus": "confirmed", "err": None} if signature in landed else None
                    for signature in call["params"][0]
                ],
            }
        return 200, {"jsonrpc": "2.0", "id": call["id"], "result": results[call["method"]]}

    @property
    def queries(self):
        return self.node.calls.count(STATUSES)

    def shared(self, interval_s):
        return SharedFates(ChainReader(Providers([Provider(self.node.url)])), interval_s)


@pytest.fixture
def chain():
    chain = Chain()
    yield chain
    chain.released.set()
    chain.node.close()


def order(signature):
    return SentOrder(signature, last_valid_block_height=150, slot=90, genesis_hash="genesis")


def test_operations_share_a_query_and_each_gets_its_own_fates(chain):
    shared = chain.shared(interval_s=3)
    chain.landed = {str(number) for number in range(0, OPERATIONS, 2)}
    shared.fates([order("first")])
    with ThreadPoolExecutor(OPERATIONS) as operations:
        signatures = [str(number) for number in range(OPERATIONS)]
        found = list(
            operations.map(lambda signature: shared.fates([order(signature)])[signature], signatures)
        )
    assert found == [Fate.LANDED, Fate.PENDING] * (OPERATIONS // 2)
    assert chain.queries <= 3, "one per operation would be 31"


def test_an_answer_is_never_older_than_the_question(chain):
    shared = chain.shared(interval_s=0)
    chain.released.clear()
    with ThreadPoolExecutor(2) as operations:
        early = operations.submit(shared.fates, [order("1")])
        wait_until(lambda: chain.queries == 1)
        chain.landed = {"1"}
        late = operations.submit(shared.fates, [order("1")])
        chain.released.set()
        assert early.result()["1"] is Fate.PENDING
        assert late.result()["1"] is Fate.LANDED


def test_an_order_that_cannot_be_judged_fails_alone(chain):
    shared = chain.shared(interval_s=1)
    shared.fates([order("first")])
    malformed = SentOrder("1", last_valid_block_height=None, slot=90, genesis_hash="genesis")
    with ThreadPoolExecutor(2) as operations:
        failed = operations.submit(shared.fates, [malformed])
        good = operations.submit(shared.fates, [order("2")])
        with pytest.raises(TypeError):
            failed.result()
        assert good.result() == {"2": Fate.PENDING}
    assert chain.queries <= 3


def test_after_an_error_in_a_query_the_next_one_works(chain):
    class Defective(Provider):
        error = ZeroDivisionError

        def call(self, method, *params):
            if self.error:
                raise self.error
            return super().call(method, *params)

    provider = Defective(chain.node.url)
    shared = SharedFates(ChainReader(Providers([provider])), interval_s=0)
    for _ in range(2):  # the first error must not leave a query behind that nobody asks
        with pytest.raises(ZeroDivisionError):
            shared.fates([order("1")])
    provider.error = None
    assert shared.fates([order("1")]) == {"1": Fate.PENDING}
    assert shared.fates([]) == {}


def test_a_provider_that_does_not_answer_leaves_orders_pending(chain):
    chain.landed = {"1"}
    silent = Provider("http://127.0.0.1:1")
    shared = SharedFates(ChainReader(Providers([silent, Provider(chain.node.url)])))
    assert shared.fates([order("1"), order("2")]) == {"1": Fate.LANDED, "2": Fate.PENDING}
