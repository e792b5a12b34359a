"""Faults on demand: lost and late sends, lagging nodes."""

from __future__ import annotations

import pytest
from solders.keypair import Keypair
from support.local_chain import RpcAnswerError
from support.solana import SOL


def test_sends_are_dropped_at_one_node_only(chain):
    key = chain.funded()
    chain.call("localSetFaults", {"drop": 1})
    other = Keypair().pubkey()
    lost = chain.transfer(key, other, SOL)
    chain.produce()
    assert chain.status(lost.signatures[0]) is None
    chain.send(lost, node="/second")
    chain.produce()
    assert chain.status(lost.signatures[0])["err"] is None


def test_sends_are_delayed_even_beyond_their_blockhash(chain):
    key = chain.funded()
    chain.call("localSetFaults", {"delay": 1, "delay_blocks": 300, "seed": 3})
    heights = {}
    sent = [chain.transfer(key, Keypair().pubkey(), 1_000_000).signatures[0] for _ in range(40)]
    began = chain.height
    for _ in range(310):
        chain.produce()
        for signature in sent:
            if signature not in heights and chain.status(signature):
                heights[signature] = chain.height
    assert len({height - began for height in heights.values()}) > 10
    assert 0 < len(heights) < len(sent), "some, but not all, are delayed beyond their blockhash"
    chain.assert_conserved()


def test_a_lagging_node_knows_neither_late_blocks_nor_their_transactions(chain):
    key = chain.funded()
    chain.produce(100)
    chain.call("localSetFaults", {"lag_blocks": 60}, node="/second")
    signature = chain.transfer(key, Keypair().pubkey(), SOL).signatures[0]
    chain.produce()
    heights = {chain.call("getBlockHeight", {"commitment": "processed"}, node="/second") for _ in range(50)}
    assert max(heights) <= chain.height
    assert chain.height - 60 <= min(heights) < chain.height
    answers = [chain.status(signature, node="/second") for _ in range(50)]
    assert answers.count(None) > 10
    assert chain.status(signature)["err"] is None
    config = {"commitment": "processed", "minContextSlot": chain.local.chain.tip.slot}
    refused = 0
    for _ in range(50):
        try:
            chain.call("getBlockHeight", config, node="/second")
        except RpcAnswerError as error:
            refused += "minContextSlot" in str(error)
    assert refused > 10


def test_faults_that_do_not_exist_are_refused(chain):
    for faults in ({"drops": 1}, {"drop": 2}, {"lag_blocks": -1}):
        with pytest.raises(RpcAnswerError, match="faults are not valid"):
            chain.call("localSetFaults", faults)
