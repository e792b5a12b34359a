"""The JSON-RPC client: kinds of errors, several providers, threads. Against a local HTTP server."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.rpc_node import RpcNode

from cto_worker.errors import MarketError
from cto_worker.markets.solana.chain_reader import ChainReader
from cto_worker.markets.solana.landing_rule import Fate, SentOrder
from cto_worker.markets.solana.orders.shared_fates import SharedFates
from cto_worker.markets.solana.rpc_client import (
    NoAnswerError,
    Provider,
    ProviderBusyError,
    Providers,
    RefusedError,
)


@pytest.fixture(scope="module")
def _nodes():
    nodes = RpcNode(), RpcNode()
    yield nodes
    for node in nodes:
        node.close()


@pytest.fixture
def nodes(_nodes):
    for node in _nodes:
        node.calls = []
        node.reply = lambda call: (200, {"jsonrpc": "2.0", "id": call["id"], "result": call["method"]})
    return _nodes


@pytest.fixture
def providers(nodes):
    return Providers([Provider(node.url, answer_timeout_s=10) for node in nodes])


def failing(code, **more):
    return lambda call: (
        200,
        {"jsonrpc": "2.0", "id": call["id"], "error": {"code": code, "message": "no", **more}},
    )


def test_each_kind_of_failure_has_its_error(nodes):
    provider = Provider(nodes[0].url)
    cases = [
        (lambda _: (429, b""), ProviderBusyError),
        (lambda _: (503, b"<html>"), NoAnswerError),
        (lambda _: (200, b"{"), NoAnswerError),
        (lambda _: (200, b"[]"), NoAnswerError),
        (lambda call: (200, {"id": call["id"]}), NoAnswerError),
        (lambda _: (200, {"id": -1, "result": 1}), NoAnswerError),  # of another call
        (lambda call: (200, {"id": call["id"], "error": "x"}), NoAnswerError),
        (lambda call: (500, {"id": call["id"], "result": 1}), NoAnswerError),
        (lambda _: (None, None), NoAnswerError),
        (failing(-32005), NoAnswerError),
        (failing(-32016), NoAnswerError),
        (failing(-32002, data={"err": "AlreadyProcessed"}), RefusedError),
        (failing(-32602), RefusedError),
    ]
    for number, (reply, kind) in enumerate(cases):
        nodes[0].reply = reply
        with pytest.raises(MarketError) as failed:
            provider.call("getHealth")
        assert type(failed.value) is kind, number
        assert "secret-key" not in str(failed.value)
        assert "127.0.0.1" in str(failed.value)


def test_no_server_and_a_slow_server_do_not_answer(nodes):
    release = threading.Event()
    nodes[0].reply = lambda call: (release.wait(10), (200, {"id": call["id"], "result": 1}))[1]
    with pytest.raises(NoAnswerError, match="ReadTimeout"):
        Provider(nodes[0].url, answer_timeout_s=0.1).call("getHealth")
    release.set()
    closed = RpcNode()
    closed.close()
    with pytest.raises(NoAnswerError, match="ConnectionError"):
        Provider(closed.url).call("getHealth")


def test_a_refusal_has_the_data_of_the_node(nodes):
    nodes[0].reply = failing(-32002, data={"err": "AlreadyProcessed"})
    with pytest.raises(RefusedError) as refused:
        Provider(nodes[0].url).call("sendTransaction", "…")
    assert (refused.value.code, refused.value.data) == (-32002, {"err": "AlreadyProcessed"})


def test_reads_use_the_next_provider_and_stay_there(nodes, providers):
    nodes[0].reply = lambda _: (503, b"")
    assert [providers.read("getSlot") for _ in range(3)] == ["getSlot"] * 3
    assert (len(nodes[0].calls), len(nodes[1].calls)) == (1, 3)
    nodes[1].reply = lambda _: (429, b"")
    with pytest.raises(NoAnswerError):
        providers.read("getSlot")


def test_a_refusal_is_an_answer_that_no_other_provider_is_asked_about(nodes, providers):
    nodes[0].reply = failing(-32602)
    with pytest.raises(RefusedError):
        providers.read("getSlot")
    assert nodes[1].calls == []


def test_a_send_goes_to_every_provider(nodes, providers):
    nodes[0].reply = lambda _: (None, None)
    assert providers.send("sendTransaction", "…") == "sendTransaction"
    assert [node.calls for node in nodes] == [["sendTransaction"]] * 2
    nodes[1].reply = failing(-32002)
    with pytest.raises(RefusedError):
        providers.send("sendTransaction", "…")
    nodes[1].reply = lambda _: (429, b"")
    with pytest.raises(NoAnswerError):
        providers.send("sendTransaction", "…")


def test_threads_share_a_provider(nodes, providers):
    def call(number):
        return providers.read(f"method{number}") == f"method{number}"

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(200)))


ORDER = SentOrder("signature", last_valid_block_height=150, slot=100, genesis_hash="genesis")
EXPIRED = {
    "getGenesisHash": "genesis",
    "getFirstAvailableBlock": 0,
    "getEpochInfo": {"blockHeight": 151, "absoluteSlot": 170},
    "getSignatureStatuses": {"context": {"slot": 200}, "value": [None]},
}


def statuses(**status):
    return {**EXPIRED, "getSignatureStatuses": {"context": {"slot": 200}, "value": [status]}}


def test_an_order_expires_only_if_both_providers_prove_it(nodes, providers):
    reader = ChainReader(providers)
    cases = [
        (EXPIRED, Fate.EXPIRED),
        ({**EXPIRED, "getEpochInfo": {"blockHeight": 150, "absoluteSlot": 169}}, Fate.PENDING),
        ({**EXPIRED, "getGenesisHash": "another"}, Fate.PENDING),
        (statuses(err=None, confirmationStatus="confirmed"), Fate.LANDED),
        (statuses(err={"InstructionError": [0, "x"]}, confirmationStatus="finalized"), Fate.FAILED),
        (statuses(err=None, confirmationStatus="processed"), Fate.PENDING),
        (statuses(err=None, confirmationStatus=None), Fate.PENDING),
        (statuses(err=None, confirmationStatus="certain"), Fate.PENDING),
        ({**EXPIRED, "getSignatureStatuses": {"context": {"slot": 200}, "value": []}}, Fate.PENDING),
        ({**EXPIRED, "getEpochInfo": {}}, Fate.PENDING),
    ]
    nodes[0].results(EXPIRED)
    for results, expected in cases:
        nodes[1].results(results)
        assert SharedFates(reader, interval_s=0).fates([ORDER]) == {"signature": expected}, results
    nodes[1].reply = lambda _: (503, b"")
    assert SharedFates(reader, interval_s=0).fates([ORDER]) == {"signature": Fate.PENDING}
    finalized, asked = nodes[0].calls.index("getEpochInfo"), nodes[0].calls.index("getSignatureStatuses")
    assert finalized < asked
    assert reader.genesis_hashes() == ["genesis"]


def test_a_document_of_another_form_is_no_answer(nodes, providers):
    reader = ChainReader(providers)
    for document in (None, [], {"value": None}, {"value": {"blockhash": "x"}}):
        for node in nodes:
            node.results({"getLatestBlockhash": document})
        with pytest.raises(NoAnswerError, match="getLatestBlockhash"):
            reader.latest_blockhash()
